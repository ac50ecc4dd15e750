"""The same bytes to our worker and to a real nginx in front of it: both divide them into the same requests, or one
refuses. Where they do not, somebody's request ends in somebody else's."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import socket

import nginx
import pytest
from hypothesis import HealthCheck, given, settings
from streams import CORPUS, NEXT, mutated, ours, told
from wsgi_worker import LIMIT, serving

HTTP = """
    client_header_timeout 3s; client_body_timeout 3s;
    proxy_ignore_client_abort on;  # the client says its end when it has said all
    proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host;
    upstream app {{ server unix:{app}; keepalive 4; }}
    server {{
        listen unix:{directory}/buffered;
        location / {{ proxy_pass http://app; }}
    }}
    server {{
        listen unix:{directory}/passed;
        location / {{ proxy_pass http://app; proxy_request_buffering off; }}
    }}
"""


def tell(environ, start_response):
    """Says in a field what it was asked."""
    start_response("200 OK", [("X-Saw", json.dumps(told(environ)).encode().hex()), ("Content-Length", "2")])
    return [b"ok"]


class Front:
    """An nginx; `ask` it on one of its sockets."""

    def __init__(self, worker, directory):
        self.worker, self.directory = worker, directory

    def ask(self, data, way):
        """What the app saw of a stream of bytes, by what the client hears; whether nginx closes behind it; how often
        the app was asked."""
        before = self.worker.row.requests
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(LIMIT)
            client.connect(f"{self.directory}/{way}")
            with contextlib.suppress(BrokenPipeError):
                client.sendall(data)
                client.shutdown(socket.SHUT_WR)
            heard = b""
            with contextlib.suppress(ConnectionResetError):
                while piece := client.recv(65536):
                    heard += piece
        seen = [tuple(json.loads(bytes.fromhex(saw.decode()))) for saw in re.findall(rb"X-Saw: (\w+)\r\n", heard)]
        return seen, b"\r\nConnection: close\r\n" in heard, self.worker.row.requests - before


@pytest.fixture(scope="module")
def front(tmp_path_factory):
    directory = tmp_path_factory.mktemp("nginx")
    with serving(tell, family=socket.AF_UNIX, keepalive=60) as worker:
        http = HTTP.format(directory=directory, app=worker.address)
        with nginx.running(directory, http, (directory / "passed").exists):
            yield Front(worker, directory)


def compare(front, data, way):
    mine, closed = ours(data)
    seen, ended, asked = front.ask(data, way)
    assert asked == len(seen), f"the app was asked {asked} times, and the client heard of {len(seen)}: {data!r}"
    for here, there in itertools.zip_longest(mine, seen):
        if here is None:
            assert closed, f"nginx finds one more, {there}: {data!r}"
            break
        if there is None:
            assert ended or closed, f"we find one more, {here}: {data!r}"
            break
        assert here == there, data


@pytest.mark.parametrize("way", ["buffered", "passed"])
def test_each_row_is_divided_as_nginx_divides_it_or_refused(front, way):
    for data in CORPUS:
        compare(front, data + NEXT, way)


@pytest.mark.parametrize("way", ["buffered", "passed"])
def test_what_is_changed_a_little_is_divided_as_nginx_divides_it_or_refused(front, way):
    @given(mutated())
    @settings(max_examples=300, suppress_health_check=list(HealthCheck))
    def check(data):
        compare(front, data, way)

    check()
