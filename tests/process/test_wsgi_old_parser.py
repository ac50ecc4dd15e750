"""The tables with Debian's httptools, whose older parser lets through what we must refuse by ourselves."""

from __future__ import annotations

import subprocess
import sysconfig
from pathlib import Path

import pytest

DEBIANS = "/usr/bin/python3"
ROOT = Path(__file__).parents[2]
TABLES = [
    "tests/unit/test_wsgi_framing.py",
    "tests/conformance/test_http.py",
    "tests/conformance/test_h11.py",
    "tests/process/test_nginx_differential.py",
]
# httptools is Debian's and comes first; pytest and hypothesis are borrowed from the environment of the tests.
PROGRAM = """
import sys
import httptools
sys.path += [{root!r}, {root!r} + "/tests/conformance", {root!r} + "/tests/process", {packages!r}]
import pytest
print("httptools from", httptools.__file__)
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", "-p", "no:randomly", *{tables!r}]))
"""


@pytest.mark.timeout(300)
def test_every_table_holds_with_debians_httptools_too():
    if subprocess.run([DEBIANS, "-c", "import httptools"], capture_output=True, check=False, timeout=30).returncode:
        pytest.skip("Debian's python3-httptools is not installed: apt-get install python3-httptools")
    packages = sysconfig.get_path("purelib")
    program = PROGRAM.format(root=str(ROOT), packages=packages, tables=[str(ROOT / table) for table in TABLES])
    done = subprocess.run([DEBIANS, "-c", program], capture_output=True, text=True, check=False, timeout=280)
    if "httptools from /usr/lib" not in done.stdout:
        pytest.skip(f"pytest of {packages} does not run under {DEBIANS}: {done.stderr[-300:]}")
    assert done.returncode == 0, done.stdout[-3000:]
