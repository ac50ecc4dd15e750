"""`spyglass wake`: whom it connects to, and what it makes of what follows."""

from __future__ import annotations

import contextlib
import os
import socket
from types import SimpleNamespace

import pytest

from spyglass_systemd.cli.main import main
from spyglass_systemd.protocols import notice, scoreboard
from spyglass_systemd.protocols.scoreboard import Scoreboard
from spyglass_systemd.tools import wake as waking
from spyglass_systemd.tools.condition import Condition, Listener
from spyglass_systemd.tools.wake import Woken, address, wake
from spyglass_systemd.words.errors import AppError, ManagerError
from spyglass_systemd.words.states import State


@pytest.mark.parametrize(
    ("text", "family", "target"),
    [
        ("/run/spyglass/blog.sock", socket.AF_UNIX, "/run/spyglass/blog.sock"),
        ("@blog", socket.AF_UNIX, "\0blog"),
        ("127.0.0.1:8000", socket.AF_INET, ("127.0.0.1", 8000)),
        ("0.0.0.0:80", socket.AF_INET, ("127.0.0.1", 80)),
        ("[::]:80", socket.AF_INET6, ("::1", 80)),
        ("[fe80::1]:80", socket.AF_INET6, ("fe80::1", 80)),
    ],
)
def test_what_systemd_shows_is_an_address_to_connect_to(text, family, target):
    assert address(text) == (family, target)


@pytest.fixture
def listener(site):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(site.path))
        sock.listen()
        sock.settimeout(5)
        yield sock


@pytest.fixture
def seen(site, monkeypatch):
    """Lets `status` see a site in these states, one a look."""

    def seen(*states, active=True, trouble=(), enabled=True):
        found = []
        for state in states:
            listeners = (Listener("spyglass@blog.socket", str(site.path), active),)
            code = 69 if trouble else 0
            judged = Condition(state, None, "", code, 0, None, tuple(trouble), listeners)
            found.append(SimpleNamespace(condition=judged, trouble=judged.trouble, enabled=enabled))
        monkeypatch.setattr(waking.status, "look", lambda _: [found.pop(0) if len(found) > 1 else found[0]])

    return seen


def board(site, state):
    made = Scoreboard.create(str(site.runtime), 1, 917)
    made.header[scoreboard.H_STATE] = list(State).index(state)
    made.header[scoreboard.H_IMPORT_US] = 5000
    return made


def test_one_that_is_awake_is_not_even_connected_to(site, seen):
    seen("awake")  # and nobody listens
    assert wake(site, print) == Woken(None)


@pytest.mark.parametrize("state", ["asleep", "dozing", "failed"])
def test_a_connection_wakes_it_and_stays_until_it_accepts(site, seen, listener, state):
    seen(state)
    told = []

    def tell(text):
        told.append(text)
        if text == "starting":
            board(site, State.WAKING)
        else:
            connection, _ = listener.accept()
            connection.setblocking(False)
            with connection, pytest.raises(BlockingIOError):
                connection.recv(1)  # it says nothing, and does not leave
            board(site, State.AWAKE)

    woken = wake(site, tell)
    assert told == ["starting", "waking"]
    assert woken.seconds > 0
    assert woken.phases_us["load"] == 5000


@pytest.mark.parametrize(("key", "said"), [('kind = "wsgi"', b"\r\n"), ('kind = "raw"', b""), ("", b"")])
def test_where_a_silent_connection_may_wake_nobody_an_empty_line_is_said(site, seen, listener, key, said):
    site.config.write_text(f'app = "blog:app"\n{key}\n')
    seen("asleep")
    got = []

    def tell(_):
        connection, _ = listener.accept()
        connection.settimeout(0 if not said else 5)
        with connection, contextlib.suppress(BlockingIOError):
            got.append(connection.recv(100))
        board(site, State.AWAKE)

    wake(site, tell)
    assert b"".join(got) == said


@pytest.mark.usefixtures("listener")
def test_one_that_does_not_start_is_the_apps_error(site, seen):
    seen("asleep")
    made = board(site, State.FAILED)

    def tell(text):
        assert text == "failed"  # and has not said why yet
        made.header[scoreboard.H_FAILURES] = 1

    with pytest.raises(AppError, match="blog does not start: nobody has said why"):
        wake(site, tell)
    notice.put(str(site.runtime / "scoreboard"), notice.LAST_ERROR, "no database\nTraceback\n")
    with pytest.raises(AppError, match="blog does not start: no database") as caught:
        wake(site, print)
    assert caught.value.trace == "Traceback"


@pytest.mark.usefixtures("listener")
def test_one_that_never_gets_so_far_is_noticed(site, seen, monkeypatch):
    monkeypatch.setattr(waking, "_ASK", 0.0)
    seen("asleep", "waking", "restarting", trouble=[("it ended badly", "see the log")])
    with pytest.raises(ManagerError, match="blog: it ended badly") as caught:
        wake(site, lambda _: None)
    assert caught.value.hint == "see the log"


@pytest.mark.parametrize(("enabled", "cure"), [(True, "start"), (False, "enable")])
def test_where_nobody_listens_it_says_who_could(site, seen, enabled, cure):
    seen("off", active=False, enabled=enabled)
    with pytest.raises(ManagerError, match="nobody listens for blog") as caught:
        wake(site, print)
    assert f"spyglass {cure} blog --user" in caught.value.hint


def test_a_name_that_is_gone_is_mended_by_what_status_says(site, seen):
    seen("asleep", trouble=[("the socket is gone", "systemctl restart it")])
    with pytest.raises(ManagerError, match="cannot be connected to: No such file or directory") as caught:
        wake(site, print)
    assert caught.value.hint == "systemctl restart it"


@pytest.mark.usefixtures("listener")
def test_a_board_that_says_nothing_is_an_error(site, seen):
    seen("asleep")
    os.mkfifo(site.runtime / "scoreboard")
    with pytest.raises(ManagerError, match="whether it wakes cannot be seen"):
        wake(site, print)


@pytest.mark.parametrize(
    ("woken", "says"),
    [
        (Woken(None), "blog: awake already\n"),
        (
            Woken(0.25, {"python": 20_000, "load": 200_000, "fork": 0}),
            "blog: awake after 250 ms (python 20 ms, load 200 ms)\n",
        ),
    ],
)
def test_the_verb_says_how_long_it_took(site, monkeypatch, capsys, woken, says):
    monkeypatch.setattr("spyglass_systemd.cli.command.places_of", lambda **_: site.places)
    monkeypatch.setattr("spyglass_systemd.cli.wake.wake", lambda _, tell: tell("waits") or woken)
    assert (main(["wake", "blog"]), *capsys.readouterr()) == (0, says, "")
