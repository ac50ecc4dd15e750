"""What `spyglass reload` makes of what a Master and systemd say."""

from __future__ import annotations

import os

import pytest

from spyglass_systemd.cli.main import main
from spyglass_systemd.protocols import notice, scoreboard
from spyglass_systemd.protocols.scoreboard import Scoreboard
from spyglass_systemd.tools import reload as reloads
from spyglass_systemd.tools.reload import Outcome, reload
from spyglass_systemd.words.errors import ManagerError
from spyglass_systemd.words.states import State


class Manager:
    """Stands for systemctl, and for the Master that gets its signal. `states` are those of the service, one a look."""

    user = True

    def __init__(self, *states):
        self.states = list(states)
        self.did = []
        self.then = lambda: None

    def show(self, _unit, *_properties):
        active, sub, pid = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return {"ActiveState": active, "SubState": sub, "Result": "exit-code", "MainPID": str(pid)}

    def do(self, *words):
        self.did.append(words)
        self.then()


RUNS = ("active", "running", os.getpid())


@pytest.fixture
def board(site):
    made = Scoreboard.create(str(site.runtime), 1, os.getpid())
    made.header[scoreboard.H_STATE] = list(State).index(State.AWAKE)
    made.header[scoreboard.H_RELOADS] = made.header[scoreboard.H_RELOAD_DONE] = 4
    return made


@pytest.fixture
def manager(monkeypatch):
    """Stands in for the site's: `manager(*states)`."""

    def manager(*states):
        made = Manager(*(states or (RUNS,)))
        monkeypatch.setattr(reloads, "manager_of", lambda _: made)
        return made

    return manager


def done(board, number, result=0, state=State.AWAKE):
    board.header[scoreboard.H_STATE] = list(State).index(state)
    board.header[scoreboard.H_RELOADS] = board.header[scoreboard.H_RELOAD_DONE] = number
    board.header[scoreboard.H_RELOAD_RESULT] = result


def ask(site):
    told = []
    return reload(site, told.append), told


@pytest.mark.parametrize("state", ["inactive", "failed"])
def test_an_app_that_does_not_run_needs_no_signal(site, manager, state):
    made = manager((state, "dead", 0))
    outcome, _ = ask(site)
    assert outcome == Outcome("it is not running: the next connection loads the new code")
    assert made.did == []


def test_the_signal_is_for_the_master_alone(site, manager, board):
    made = manager()
    made.then = lambda: done(board, 5)
    assert ask(site)[0] == Outcome("the new code serves")
    assert made.did == [("kill", "--signal=HUP", "--kill-whom=main", "--", "spyglass@blog.service")]


def test_an_app_that_starts_is_waited_for_before_it_is_told(site, manager, board):
    made = manager(("activating", "start", os.getpid()), ("deactivating", "stop", os.getpid()), RUNS)
    made.then = lambda: done(board, 5)
    outcome, told = ask(site)
    assert outcome == Outcome("the new code serves")
    assert told == ["it is starting, or stopping"] * 2


def test_a_load_that_was_under_way_is_not_the_one_that_was_asked_for(site, manager, board, monkeypatch):
    """It may have read the old code: number 5 had begun when we looked, so 6 is ours."""
    made = manager()
    board.header[scoreboard.H_RELOADS] = 5
    events = [lambda: done(board, 5), lambda: board.header.__setitem__(scoreboard.H_RELOADS, 6), lambda: done(board, 6)]
    monkeypatch.setattr(reloads, "_gone", lambda *_: bool(events and events.pop(0)()))
    outcome, told = ask(site)
    assert outcome == Outcome("the new code serves")
    assert told == ["it has been told", "it is being loaded"]
    assert made.did


def test_what_broke_is_the_masters_text(site, manager, board):
    def fails():
        notice.put(board.path, notice.RELOAD_ERROR, "no database\nTraceback\n  \x1b[2J\n")
        done(board, 5, 69)

    manager().then = fails
    assert ask(site)[0] == Outcome("the old code serves on", ("no database", "Traceback", r"  \x1b[2J"))


def test_of_an_app_that_was_broken_before_nothing_serves_on(site, manager, board):
    manager().then = lambda: done(board, 5, 69, State.FAILED)
    assert ask(site)[0] == Outcome("it answers 503 until it works", ("nobody has said why",))
    notice.put(board.path, notice.LAST_ERROR, "no database\n")
    done(board, 4)
    assert ask(site)[0].error == ("no database",)


def test_an_app_that_only_watches_has_loaded_nothing(site, manager, board):
    manager().then = lambda: done(board, 5, 0, State.WATCHING)
    assert ask(site)[0] == Outcome("nothing was loaded: the next connection loads the new code")


def test_what_a_restart_would_bring_is_passed_on(site, manager, board):
    notice.put(board.path, notice.RESTART_NEEDED, "restart for another Python\n")
    manager().then = lambda: done(board, 5)
    assert ask(site)[0].advice == ("restart for another Python",)


def test_an_app_that_leaves_meanwhile_loads_the_new_code_next(site, manager, board, monkeypatch):
    del board
    manager()
    monkeypatch.setattr(reloads, "_gone", lambda *_: True)
    assert ask(site)[0] == Outcome("it has left meanwhile: the next connection loads the new code")


@pytest.mark.parametrize("pid", [0, 2**22 + 1])
def test_a_master_that_is_gone_before_it_is_asked_is_looked_for_again(site, manager, pid):
    manager(("active", "running", pid), ("inactive", "dead", 0))
    assert ask(site)[0].said.startswith("it is not running")


def test_a_signal_that_meets_nobody_is_no_error(site, manager, board, monkeypatch):
    def refuse():
        raise ManagerError("no main process to kill")

    del board
    manager(RUNS, ("inactive", "dead", 0)).then = refuse
    monkeypatch.setattr(reloads, "_gone", lambda *_: True)
    assert ask(site)[0].said.startswith("it is not running")
    manager().then = refuse
    monkeypatch.setattr(reloads, "_gone", lambda *_: False)
    with pytest.raises(ManagerError, match="no main process"):
        ask(site)


def test_an_app_that_ends_again_and_again_is_an_error(site, manager):
    manager(("activating", "auto-restart", 0))
    with pytest.raises(ManagerError, match=r"blog has ended \(exit-code\)") as caught:
        ask(site)
    assert "spyglass logs blog --user" in caught.value.hint


def test_where_nobody_can_see_what_comes_of_it_nothing_is_done(site, manager, board):
    made = manager()
    for spoil in (
        lambda: done(board, 4) or Scoreboard.create(str(site.runtime), 1, 1),
        lambda: os.truncate(board.path, 10),
        (site.runtime / "scoreboard").unlink,
    ):
        spoil()
        with pytest.raises(ManagerError, match="what comes of a reload cannot be seen") as caught:
            ask(site)
        assert "systemctl --user reload spyglass@blog.service" in caught.value.hint
    assert made.did == []


# ### The verb


@pytest.fixture
def verb(site, monkeypatch, capsys):
    monkeypatch.setattr("spyglass_systemd.cli.command.places_of", lambda **_: site.places)

    def verb(outcome):
        monkeypatch.setattr("spyglass_systemd.cli.reload.reload", lambda _, tell: tell("waits") or outcome)
        return main(["reload", "blog"]), *capsys.readouterr()

    return verb


def test_success_is_a_line_and_0(verb):
    assert verb(Outcome("the new code serves")) == (0, "blog: the new code serves\n", "")


def test_a_failure_is_69_with_what_broke_and_what_serves(verb):
    code, out, err = verb(Outcome("the old code serves on", ("no database", "Traceback", "  here")))
    assert (code, out) == (69, "")
    says = "spyglass: blog does not start with the new code: no database\n  the old code serves on\n"
    assert err == f"Traceback\n  here\n{says}"


def test_what_needs_a_restart_is_said_beside(verb):
    code, out, err = verb(Outcome("the new code serves", advice=("restart for another Python",)))
    assert (code, out) == (0, "blog: the new code serves\n")
    assert err == "spyglass: restart for another Python\n  `spyglass restart blog --user` does\n"
