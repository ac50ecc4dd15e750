"""The waking page: a browser that wakes a slow app is told so, programs wait, and nobody is lost."""

from __future__ import annotations

import json
import signal

import pytest
from harness import APPS, said

BROWSER = b"GET / HTTP/1.1\r\nHost: x\r\nAccept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8\r\n\r\n"
PROGRAM = b"GET / HTTP/1.1\r\nHost: x\r\nAccept: */*\r\nConnection: close\r\n\r\n"
SCREEN = '[[screen]]\npath = "/healthz"\ntext = "ok"\n'


@pytest.fixture
def slow(service, tmp_path, gate):
    """Makes a service whose app waits in its import until the gate is opened for writing."""

    def slow(*options, more="", kind="wsgi", **arguments):
        config = tmp_path / "blog.toml"
        config.write_text(
            f'app = "blog:app"\nkind = "{kind}"\npatience = "0.1"\npythonpath = {json.dumps(str(APPS))}\n{more}'
        )
        return service(*options, app=f"open({str(gate)!r}).close()\nfrom knife import *", config=config, **arguments)

    return slow


@pytest.fixture(params=["", SCREEN], ids=["page", "page and screen"])
def more(request):
    return request.param


def is_waking(answer):
    return answer.status == 503 and b'http-equiv="refresh"' in answer.body


def test_a_browser_gets_the_page_and_its_next_look_the_app(slow, gate, more):
    master = slow(more=more)
    with master.connect().send(BROWSER) as browser:
        master.start()
        answer = browser.read()
    assert is_waking(answer)
    assert answer.fields["cache-control"] == "no-store"
    assert answer.fields["retry-after"] == "2"
    assert answer.fields["content-type"] == "text/html; charset=utf-8"
    with master.connect().send(BROWSER) as browser:
        assert is_waking(browser.read())
    with gate.open("w"):
        pass
    master.log.until(" ready ")
    with master.connect().send(BROWSER) as browser:
        assert browser.read().status == 200
    assert master.stop() == 0


def test_programs_wait_and_are_served_by_the_app_whenever_they_came(slow, gate, more):
    master = slow(more=more)
    early = [master.connect().ask(f"say({number})") for number in range(5)]
    master.start()
    with master.connect().send(BROWSER) as browser:
        assert is_waking(browser.read())
    late = [master.connect().ask(f"say({number})") for number in range(5, 10)]
    silent = master.connect()
    with master.connect().send(BROWSER) as browser:
        assert is_waking(browser.read())
    with gate.open("w"):
        pass
    for number, connection in enumerate(early + late):
        assert said(connection.read()) == [number]
    assert said(silent.ask("say('at last')").read()) == ["at last"]
    assert master.stop() == 0


def test_more_programs_than_the_master_holds_are_served_all(slow, gate, more):
    master = slow(more=more)
    waiting = [master.connect().send(PROGRAM) for _ in range(100)]
    master.start()
    master.log.until(" woke ")
    with gate.open("w"):
        pass
    assert [connection.read().status for connection in waiting] == [200] * 100
    assert master.stop() == 0


def test_an_app_that_is_quick_shows_no_page(service, tmp_path, more):
    config = tmp_path / "blog.toml"
    config.write_text(f'app = "knife:app"\nkind = "wsgi"\npatience = "30s"\n{more}')
    master = service(config=config)
    with master.connect().send(BROWSER) as browser:
        master.start()
        assert browser.read().status == 200
    assert master.stop() == 0


def test_an_app_that_breaks_after_the_page_is_answered_for(service, tmp_path, gate):
    config = tmp_path / "blog.toml"
    config.write_text('app = "blog:app"\nkind = "wsgi"\npatience = "0.1"')
    master = service(app=f"open({str(gate)!r}).close()\nraise RuntimeError('broken')", config=config)
    program = master.connect().send(PROGRAM)
    master.start()
    with master.connect().send(BROWSER) as browser:
        assert is_waking(browser.read())
    with gate.open("w"):
        pass
    with program:
        answer = program.read()
    assert answer.status == 503
    assert not is_waking(answer)
    assert master.stop() == 0


def test_who_has_come_while_the_page_was_shown_is_answered_when_the_master_is_told_to_stop(slow):
    master = slow()
    program = master.connect().send(PROGRAM)
    master.start()
    with master.connect().send(BROWSER) as browser:
        assert is_waking(browser.read())
    master.signal(signal.SIGTERM)
    with program:
        assert program.read().status == 503
    assert master.wait() == 0
