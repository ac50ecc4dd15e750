"""How a site is, judged from what systemd and the scoreboard say."""

from __future__ import annotations

import pytest

from spyglass_systemd.protocols import scoreboard
from spyglass_systemd.protocols.scoreboard import Scoreboard
from spyglass_systemd.tools.board import look
from spyglass_systemd.tools.condition import OF_A_SERVICE, OF_A_SOCKET, Listener, judge
from spyglass_systemd.words.states import State

SOCKET = "spyglass@blog.socket"
PID = 917


def socket(**more):
    default = {
        "LoadState": "loaded",
        "ActiveState": "active",
        "Result": "success",
        "UnitFileState": "enabled",
        "Listen": "/run/spyglass/blog.sock (Stream)",
        "ActiveEnterTimestampMonotonic": "5000000",
    }
    assert set(default) == set(OF_A_SOCKET)
    return default | more


def service(**more):
    default = dict.fromkeys(OF_A_SERVICE, "") | {
        "ActiveState": "inactive",
        "SubState": "dead",
        "Result": "success",
        "MainPID": "0",
        "MemoryCurrent": "[not set]",
        "NeedDaemonReload": "no",
        "ExecMainStatus": "0",
        "StateChangeTimestampMonotonic": "0",
    }
    return default | more


@pytest.fixture
def board(tmp_path):
    def board(state, pid=PID):
        made = Scoreboard.create(str(tmp_path), 1, pid)
        made.header[scoreboard.H_STATE] = list(State).index(state)
        made.header[scoreboard.H_ENTERED] = 7 * 10**9
        return look(str(tmp_path))

    return board


def judged(*, sockets=None, board=None, there=True, **of_service):
    found = {SOCKET: socket()} if sockets is None else sockets
    return judge(
        found, service(**of_service), board, systemctl="systemctl", typed="blog --user", is_there=lambda _: there
    )


UP = {"ActiveState": "active", "SubState": "running", "MainPID": str(PID), "StateChangeTimestampMonotonic": "9000000"}


def test_an_app_that_nobody_runs_and_somebody_listens_for_is_asleep():
    found = judged()
    assert (found.state, found.since, found.code, found.pid, found.memory) == ("asleep", 5.0, 0, 0, None)
    assert found.listeners == (Listener(SOCKET, "/run/spyglass/blog.sock", active=True),)
    assert judged(StateChangeTimestampMonotonic="8000000").since == 8.0


@pytest.mark.parametrize("state", [state for state in State if state is not State.FAILED])
def test_while_it_runs_the_state_is_what_its_board_says(board, state):
    found = judged(board=board(state), **UP, MemoryCurrent="1048576")
    assert (found.state, found.since, found.code, found.pid, found.memory) == (state.value, 7.0, 0, PID, 1048576)


def test_an_app_that_answers_503_fails(board):
    assert (judged(board=board(State.FAILED), **UP).state, judged(board=board(State.FAILED), **UP).code) == (
        "failed",
        69,
    )


def test_a_board_of_another_master_says_nothing(board):
    found = judged(board=board(State.FAILED, pid=1), **UP)
    assert (found.state, found.since, found.code) == ("awake", 9.0, 0)


@pytest.mark.parametrize(
    ("of_service", "state", "code"),
    [
        ({"ActiveState": "activating", "SubState": "start"}, "waking", 0),
        ({"ActiveState": "deactivating", "SubState": "stop-sigterm"}, "draining", 0),
        ({"ActiveState": "reloading", "SubState": "reload-notify"}, "awake", 0),
        ({"ActiveState": "activating", "SubState": "auto-restart", "Result": "exit-code"}, "restarting", 69),
        ({"ActiveState": "failed", "SubState": "failed", "Result": "exit-code", "ExecMainStatus": "69"}, "failed", 69),
        ({"ActiveState": "failed", "SubState": "failed", "Result": "exit-code", "ExecMainStatus": "70"}, "crashed", 69),
        ({"ActiveState": "failed", "SubState": "failed", "Result": "signal", "ExecMainStatus": "9"}, "crashed", 69),
    ],
)
def test_without_a_board_the_state_is_what_systemd_says(of_service, state, code):
    found = judged(**of_service)
    assert (found.state, found.code) == (state, code)


def test_a_site_that_nobody_listens_for_is_off():
    found = judged(sockets={SOCKET: socket(ActiveState="inactive", ActiveEnterTimestampMonotonic="0")})
    assert (found.state, found.code, found.since) == ("off", 3, None)
    assert found.listeners[0].active is False
    assert judged(sockets={}).state == "off"


def test_a_listener_that_systemd_has_closed_is_the_worst(board):
    sockets = {SOCKET: socket(ActiveState="failed", Result="trigger-limit-hit")}
    found = judged(sockets=sockets)
    assert (found.state, found.code) == ("deaf", 69)
    ((what, cure),) = found.trouble
    assert "trigger-limit-hit" in what
    assert cure == f"systemctl reset-failed {SOCKET} && systemctl start {SOCKET}"
    assert judged(sockets=sockets, board=board(State.AWAKE), **UP).code == 69


def test_a_name_that_is_gone_comes_first_and_only_its_unit_mends_it(board):
    found = judged(there=False, board=board(State.AWAKE), **UP | {"NeedDaemonReload": "yes"})
    assert (found.state, found.code) == ("awake", 69)
    first, second = found.trouble
    assert first[0].startswith("the socket /run/spyglass/blog.sock is gone")
    assert first[1] == f"systemctl restart {SOCKET}"
    assert second[1] == "systemctl daemon-reload"


@pytest.mark.parametrize("listen", ["127.0.0.1:8000 (Stream)", "[::1]:8000 (Stream)", "@blog (Stream)"])
def test_only_a_name_in_the_file_system_can_be_gone(listen):
    found = judged(there=False, sockets={SOCKET: socket(Listen=listen)})
    assert found.code == 0
    assert found.listeners[0].address == listen.rpartition(" ")[0]


def test_each_address_of_each_unit_is_a_listener():
    sockets = {
        SOCKET: socket(Listen="/run/a (Stream)\n127.0.0.1:80 (Stream)"),
        "spyglass@blog:admin.socket": socket(Listen="/run/b c (Stream)", ActiveState="inactive"),
        "spyglass@blog:x.socket": socket(Listen=""),
    }
    found = judged(sockets=sockets)
    assert [(each.address, each.active) for each in found.listeners] == [
        ("/run/a", True),
        ("127.0.0.1:80", True),
        ("/run/b c", False),
    ]
    assert found.state == "asleep"


def test_units_that_systemd_has_not_read_again_are_told_and_no_fault():
    found = judged(NeedDaemonReload="yes")
    assert found.code == 0
    assert "changed on disk" in found.trouble[0][0]


def test_what_the_app_says_moves_no_cursor():
    assert judged(**UP, StatusText="awake\x1b[2J" + "x" * 10000).says.startswith(r"awake\x1b[2Jxxx")
    assert len(judged(**UP, StatusText="x" * 10000).says) == 400


def test_its_last_words_are_not_about_now():
    assert judged(StatusText="draining, told to stop").says == ""
    failed = {"ActiveState": "failed", "Result": "exit-code", "ExecMainStatus": "69"}
    assert judged(**failed, StatusText="failed: no database").says == "failed: no database"


@pytest.mark.parametrize("text", ["", "[not set]", "18446744073709551615", "-1", "\u0663"])
def test_what_is_no_number_is_none(text):
    assert judged(MemoryCurrent=text).memory is None


def test_a_cure_can_be_typed_as_it_is_printed():
    found = judged(ActiveState="activating", SubState="auto-restart", Result="exit-code")
    assert found.trouble[0][1] == "`spyglass logs blog --user` says why"
