"""A real nginx in a directory of a test. Knows nothing of what is behind it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess

import pytest
from harness import LIMIT, eventually

MAIN = """
daemon off;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
worker_processes 1;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
    {http}
}}
"""


def installed():
    """Debian's nginx, which is always there with ./dev test; who runs pytest alone may be without."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin")
    if program is None:
        pytest.skip("nginx is not installed: ./dev test installs it")
    return program


@contextlib.contextmanager
def running(directory, http, is_there):
    """While it runs with these lines of `http`; `is_there()` once it listens. Without nginx the test is skipped."""
    program = installed()
    user = "user root;" if os.geteuid() == 0 else ""  # whose workers reach the socket in our directory
    (directory / "nginx.conf").write_text(user + MAIN.format(directory=directory, http=http))
    process = subprocess.Popen(
        [program, "-c", str(directory / "nginx.conf"), "-p", str(directory), "-e", str(directory / "error.log")]
    )

    def listens():
        assert process.poll() is None, (directory / "error.log").read_text()
        return is_there()

    try:
        eventually(listens, "nginx")
        yield
    finally:
        process.terminate()
        process.wait(LIMIT)
