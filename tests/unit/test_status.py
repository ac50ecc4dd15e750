"""All that is known of a site, gathered and shown."""

from __future__ import annotations

import io
import json
import os
import re
import socket
import time
from types import SimpleNamespace

import pytest
from rich.console import Console

from spyglass_systemd.cli import status as verb
from spyglass_systemd.cli.main import main
from spyglass_systemd.protocols import row as cells
from spyglass_systemd.protocols import scoreboard
from spyglass_systemd.protocols.scoreboard import Scoreboard
from spyglass_systemd.protocols.systemctl import Systemctl
from spyglass_systemd.tools import status
from spyglass_systemd.tools.places import of_user
from spyglass_systemd.words.options import Settings
from spyglass_systemd.words.states import State


class Manager:
    """Stands for systemctl: properties of units, as `systemctl show` prints them."""

    def __init__(self):
        self.units = {}

    def __call__(self, command):
        assert command[:2] == ["systemctl", "--user"]
        if "list-units" in command:
            return SimpleNamespace(returncode=0, stdout="".join(f"{name} more\n" for name in self.units), stderr="")
        assert "show" in command
        names = command[command.index("--") + 1 :]
        wanted = next(word for word in command if word.startswith("--property="))[len("--property=") :].split(",")
        blocks = []
        for name in names:
            unit = {"ActiveState": "inactive", "MainPID": "0"} | self.units.get(name, {})
            lines = [f"{key}={line}" for key, value in unit.items() if key in wanted for line in value.split("\n")]
            blocks.append("\n".join(lines) + "\n")
        return SimpleNamespace(returncode=0, stdout="\n".join(blocks), stderr="")


@pytest.fixture
def manager(monkeypatch, tmp_path):
    manager = Manager()
    places = of_user({"XDG_CONFIG_HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path / "run")}, os.getuid(), 255)
    places.config.mkdir()
    places.runtime.mkdir(parents=True)
    monkeypatch.setattr("spyglass_systemd.cli.command.places_of", lambda **_: places)
    monkeypatch.setattr(status, "manager_of", lambda _: Systemctl(user=True, run=manager))
    manager.places = places
    return manager


@pytest.fixture
def site(manager):
    """Makes a site that is asleep, with its socket bound; `awake=True`: with a Master and a worker."""
    bound = []

    def site(name="blog", *, awake=False, state=State.AWAKE, **options):
        made = manager.places.site(name)
        lines = {"app": "blog:app", "idle": "5min"} | options
        made.config.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in lines.items()))
        bound.append(socket.socket(socket.AF_UNIX))
        bound[-1].bind(str(made.path))
        listen = f"{made.path} (Stream)"
        manager.units[made.socket] = {"ActiveState": "active", "UnitFileState": "enabled", "Listen": listen}
        if awake:
            made.runtime.mkdir()
            board = Scoreboard.create(str(made.runtime), 2, 917)
            now = time.monotonic_ns()
            board.header[scoreboard.H_STATE] = list(State).index(state)
            board.header[scoreboard.H_ENTERED] = board.header[scoreboard.H_BEGAN] = now - 65 * 10**9
            board.header[scoreboard.H_IMPORT_US] = 12_345
            board.rows[0].claim(920, 1, 1)
            board.rows[0].enter(cells.ACCEPTING)
            made_of = {"SubState": "running", "MainPID": "917", "MemoryCurrent": str(24 * 2**20)}
            manager.units[made.service] = {"ActiveState": "active", "StatusText": "awake, 1 workers", **made_of}
            return made, board
        return made

    yield site
    for each in bound:
        each.close()


@pytest.fixture
def shown(capsys):
    def shown(*words):
        code = main(["status", "--user", *words])
        captured = capsys.readouterr()
        assert captured.err == ""
        return code, captured.out

    return shown


@pytest.mark.usefixtures("manager")
def test_no_site_at_all_is_said(shown):
    code, out = shown()
    assert code == 0
    assert out.startswith("There is no site: no file in ")
    assert out.endswith(". `spyglass new NAME APP --user` makes one.\n")
    assert shown("--json") == (0, "[]\n")


def test_a_site_that_sleeps_is_fine(site, shown):
    made = site()
    code, out = shown("blog")
    assert code == 0
    assert out == f"blog: asleep\n  listens on {made.path}\n"


def test_a_site_that_is_awake_says_why_and_until_when(site, shown):
    _, board = site(awake=True)
    code, out = shown("blog")
    assert code == 0
    assert out.startswith("blog: awake for 1min 5s, sleeps in 3min 5")
    assert "  worker 1   pid 920, accepting: 0 open, 0 under way, 0 requests\n" in out
    assert "  memory     24.0 MiB\n" in out
    assert "  last wake  load 12 ms\n" in out
    board.rows[0].opened(time.monotonic_ns())
    board.rows[0].lease("nightly\x1b[31m", time.monotonic_ns())
    code, out = shown("blog")
    assert code == 0
    assert "sleeps in" not in out
    assert "  stays up   lease nightly\\x1b[31m\n  stays up   1 connections open\n" in out


def test_what_broke_is_shown_and_counts(site, shown, manager):
    made, _ = site(awake=True, state=State.FAILED)
    manager.units[made.service]["StatusText"] = "failed: no database"
    lines = ["RuntimeError: no database", "Traceback", *["  \x1b[2J"] * 50, "the end"]
    (made.runtime / "last-error").write_text("\n".join(lines) + "\n")
    code, out = shown("blog")
    assert code == 69
    assert "  error      RuntimeError: no database\n             [...]\n" in out
    assert out.endswith("             the end\n")
    assert "\x1b" not in out
    assert shown() == (69, shown()[1])


def test_a_hostile_note_or_board_is_a_word_about_itself(site, shown):
    made, _ = site(awake=True)
    (made.runtime / "last-error").symlink_to("/etc/passwd")
    assert "root:" not in shown("blog")[1]
    assert "last-error cannot be read: Too many levels of symbolic links" in shown("blog")[1]
    (made.runtime / "scoreboard").unlink()
    os.mkfifo(made.runtime / "scoreboard")
    code, out = shown("blog")
    assert code == 0
    assert out.startswith(f"{made.runtime}/scoreboard is no regular file\n")
    assert "blog: awake\n" in out


def test_a_socket_that_is_gone_comes_first(site, shown):
    made = site()
    made.path.unlink()
    code, out = shown("blog")
    assert code == 69
    assert out.startswith(f"the socket {made.path} is gone")
    assert f"\n  systemctl --user restart {made.socket}\n" in out
    made.path.touch()
    assert shown("blog")[0] == 69


def test_a_site_that_nobody_listens_for_is_3(site, shown, manager):
    made = site()
    manager.units[made.socket]["ActiveState"] = "inactive"
    assert shown("blog") == (3, f"blog: off\n  listens on {made.path} (not now)\n")
    assert shown()[0] == 0


def test_one_that_nobody_listens_for_shows_where_its_file_has_it_listen(site, shown, manager):
    made = site(listen=["8000", "admin=unix:/run/admin.sock"])
    manager.units[made.socket]["ActiveState"] = "inactive"
    out = "blog: off\n  listens on 127.0.0.1:8000 (not now)\n  listens on /run/admin.sock (not now)\n"
    assert shown("blog") == (3, out)
    made.config.write_text('app = "blog:app"\nlisten = "example.org:80"\n')  # which systemd cannot
    assert shown("blog") == (3, f"blog: off\n  listens on {made.path} (not now)\n")


def test_one_that_listens_though_its_file_is_gone_is_shown_with_what_ends_that(site, shown, manager):
    made = site()
    site("shop")
    made.config.unlink()
    manager.units["spyglass@Odd.socket"] = {"ActiveState": "active"}  # no site of ours
    code, out = shown("blog")
    assert code == 0
    said = f"its file {made.config} is gone, and its units listen on"
    assert out == f"{said}\n  spyglass disable blog --user\nblog: asleep\n  listens on {made.path}\n"
    assert re.split(r"  +", shown()[1].splitlines()[1].strip()) == ["blog", "asleep", said]
    manager.units[made.socket]["ActiveState"] = "inactive"
    assert [line.split()[0] for line in shown()[1].splitlines()] == ["SITE", "shop"]


def test_one_that_is_only_started_says_that_a_boot_ends_it(site, shown, manager):
    made = site()
    manager.units[made.socket]["UnitFileState"] = "disabled"
    assert "not after the next boot: `spyglass enable blog --user`" in shown("blog")[1]


def test_a_file_that_is_broken_hides_nothing_else(site, shown):
    made, _ = site(awake=True)
    made.config.write_text("idle = \n")
    code, out = shown("blog")
    assert code == 0
    assert out.startswith(f"{made.config} is not TOML")
    assert "blog: awake for 1min 5s\n" in out


def test_all_are_a_line_each_and_an_empty_column_is_none(site, shown):
    site("blog", awake=True)
    site("shop")
    code, out = shown()
    heading, blog, shop = out.splitlines()
    assert code == 0
    assert re.split(r"  +", heading.strip()) == [
        "SITE",
        "STATE",
        "FOR",
        "SLEEPS IN",
        "WORKERS",
        "OPEN",
        "REQUESTS",
        "MEMORY",
    ]
    assert blog.split()[:4] == ["blog", "awake", "1min", "5s"]
    assert shop.split() == ["shop", "asleep"]
    assert heading.index("MEMORY") == blog.index("24.0 MiB")


def test_of_all_the_worst_counts_and_says_why(site, shown):
    site("blog")
    site("shop").path.unlink()
    code, out = shown()
    assert code == 69
    assert "is gone" in out.splitlines()[2]


def test_for_programs_there_is_json(site, shown):
    _, board = site(awake=True)
    board.rows[0].lease("nightly", 1)
    code, out = shown("blog", "--json")
    told = json.loads(out)
    assert (code, told["code"], told["name"], told["state"]) == (0, 0, "blog", "awake")
    assert told["workers"][0]["lease_names"] == ["nightly"]
    assert (told["memory_bytes"], told["stays"], told["sleeps_in_seconds"]) == (24 * 2**20, ["lease nightly"], None)
    assert told["since_seconds"] >= 65
    (listed,) = json.loads(shown("--json")[1])
    assert listed["wake_us"]["load"] == 12_345


def test_on_a_terminal_the_state_has_a_colour(site, manager):
    site(awake=True)
    out = Console(file=io.StringIO(), force_terminal=True, color_system="standard", soft_wrap=True)
    verb._show(out, status.look([manager.places.site("blog")])[0])
    assert "\x1b[32mawake\x1b[0m" in out.file.getvalue()


# ### Why it stays, and when it sleeps


def test_more_leases_than_names_are_counted(site):
    made, board = site(awake=True)
    for n in range(6):
        board.rows[0].lease(f"job {n}", 1)
    assert status.look([made])[0].stays == ("lease job 0", "lease job 1", "lease job 2", "lease job 3", "2 more leases")


def test_a_process_of_the_apps_own_is_named_by_its_master(site, manager):
    made, _ = site(awake=True)
    manager.units[made.service]["StatusText"] = "awake, kept awake by ffmpeg (pid 12)"
    assert status.look([made])[0].stays == ("ffmpeg (pid 12)",)


@pytest.mark.parametrize("state", [State.WAKING, State.FAILED, State.DRAINING])
def test_who_is_not_awake_does_not_stay(site, state):
    made, board = site(awake=True, state=state)
    board.rows[0].lease("nightly", 1)
    (found,) = status.look([made])
    assert (found.stays, found.sleeps_in) == ((), None)


def test_a_request_under_way_is_a_reason(site):
    made, board = site(awake=True)
    board.rows[0].opened(1)
    board.rows[0].began(1)
    assert status.look([made])[0].stays == ("1 requests under way", "1 connections open")


def test_when_it_sleeps_is_what_the_master_goes_by(site):
    _, board = site(awake=True)
    seen = status.boards.parse(bytes(board._memory))
    now = seen.entered_ns / 1e9
    assert status.sleeps_in(seen, Settings(app="a:b", idle=300.0), now + 100) == pytest.approx(200)
    assert status.sleeps_in(seen, Settings(app="a:b", idle=None), now + 100) is None
    assert status.sleeps_in(seen, None, now) is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, ""), (-1.0, "0s"), (0.4, "0s"), (10.9, "10s"), (3600.0, "1h"), (90061.0, "1d 1h")],
)
def test_a_span_has_two_units_at_most(seconds, text):
    assert verb._span(seconds) == text
