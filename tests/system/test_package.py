"""The life of the Debian package: installed, upgraded while an app serves, downgraded, removed, purged."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

import pytest
from harness import Connection, said
from sites import NEVER, QUICK, Site

import spyglass_systemd
from spyglass_systemd.protocols.scoreboard import H_STATE
from spyglass_systemd.words.states import State

OLD, NEW = spyglass_systemd.__version__, f"{spyglass_systemd.__version__}+next"
WHICH = "import spyglass_systemd; say(spyglass_systemd.__version__)"
ROOT = Path(__file__).parents[2]
DRAINING = list(State).index(State.DRAINING)
# A request that is under way when the package's scripts end its app.
UNTIL_DRAINING = f"""
board = os.environ["RUNTIME_DIRECTORY"] + "/scoreboard"
while int.from_bytes(open(board, "rb").read()[{8 * H_STATE}:{8 * H_STATE + 8}], "little") != {DRAINING}:
    time.sleep(0.05)
"""


@pytest.fixture
def fresh(boot, suite, packages):
    """A machine that never had our package; it is gone after the test."""
    machine = boot(suite, name="package")
    yield machine
    machine.run("dpkg", "--purge", "spyglass-systemd", "python3-spyglass-systemd", check=False)
    del packages


@pytest.fixture(scope="session")
def next_packages(packages, tmp_path_factory):
    """The same packages, of a later version."""
    directory = tmp_path_factory.mktemp("next")
    made = []
    for package in packages:
        tree = directory / package.stem
        subprocess.run(["dpkg-deb", "--raw-extract", package, tree], check=True)
        for path in (tree / "DEBIAN/control", *tree.rglob("spyglass_systemd/__init__.py")):
            path.write_text(path.read_text().replace(OLD, NEW))
        made.append(directory / f"{package.stem}-next.deb")
        subprocess.run(["dpkg-deb", "--build", tree, made[-1]], check=True, capture_output=True)
    return made


class Visitors:
    """Clients that ask for an app again and again; what they got."""

    def __init__(self, site, count=4):
        self._path = str(site.machine.inside(site.path))
        self._over = threading.Event()
        self.answers, self.trouble = [], []
        self._threads = [threading.Thread(target=self._visit) for _ in range(count)]

    def _visit(self):
        while not self._over.is_set():
            try:
                with Connection(self._path).ask(WHICH) as connection:
                    self.answers += said(connection.read())
            except (OSError, AssertionError) as error:
                self.trouble.append(error)

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join()


def test_installing_it_starts_nothing(fresh, packages):
    fresh.install(*packages)
    units = fresh.run("systemctl", "list-units", "--all", "--plain", "--no-legend", "spyglass@*").out
    assert units == ""
    assert fresh.run("spyglass", "version").out == f"spyglass-systemd {OLD}"
    assert "spyglass-systemd: " in fresh.run("journalctl", "--list-catalog").out
    assert fresh.run("stat", "-c", "%U %a", "/etc/spyglass", "/run/spyglass").out.split("\n") == ["root 755"] * 2


@pytest.mark.long
def test_an_upgrade_and_a_downgrade_lose_no_request(fresh, packages, next_packages):
    fresh.install(*packages)
    app, asleep = Site(fresh, "serves", **NEVER), Site(fresh, "sleeps", **QUICK)
    try:
        for version, others in ((NEW, next_packages), (OLD, packages)):
            with Visitors(app) as visitors, app.connect().ask(f"{UNTIL_DRAINING}\n{WHICH}") as slow:
                fresh.install(*others)
                assert app.ask(WHICH) == version
                assert said(slow.read()) == [OLD if version == NEW else NEW]  # from who had accepted it
            assert visitors.trouble == []
            assert set(visitors.answers) == {OLD, NEW}
            assert app.listens
            assert app.show("NeedDaemonReload", "NRestarts") == {"NeedDaemonReload": "no", "NRestarts": "0"}
            assert fresh.state(asleep.service) == "inactive"
            assert asleep.ask(WHICH) == version
            asleep.until("inactive")
    finally:
        app.remove()
        asleep.remove()


def test_a_removal_closes_the_listeners_and_a_purge_leaves_what_apps_keep(fresh, packages):
    fresh.install(*packages)
    app = Site(fresh, "blog", **NEVER)
    fresh.run("systemctl", "enable", "--quiet", app.socket)
    link = fresh.root / f"etc/systemd/system/sockets.target.wants/{app.socket}"
    kept = app.kept("kept")
    app.ask(f"open('{kept}', 'w').close(); open(os.environ['CACHE_DIRECTORY'] + '/cached', 'w').close(); say(1)")
    fresh.run("spyglass", "new", "wiki", "blog:app", "--chdir", "/srv/blog", "--listen", "a=8000", "--listen", "b=8001")
    fresh.run("spyglass", "enable", "wiki")

    fresh.run("apt-get", "remove", "--yes", "spyglass-systemd")
    assert (app.listens, fresh.state(app.service)) == (False, "inactive")
    assert not fresh.inside(app.path).exists()
    assert link.is_symlink()
    assert (fresh.root / "etc/spyglass/blog.toml").exists()

    fresh.run("apt-get", "purge", "--yes", "spyglass-systemd")
    assert not link.is_symlink()
    assert not (fresh.root / "etc/spyglass").exists()
    left = fresh.run("find", "/etc", "/usr", "/var", "-xdev", "-path", "*spyglass*", "-not", "-path", "*/python3*").out
    ours = ("/var/lib/private/spyglass", "/var/lib/spyglass", "/var/lib/dpkg", "/etc/systemd/system/spyglass@blog")
    assert [path for path in left.splitlines() if not path.startswith(ours)] == []
    assert (fresh.root / kept[1:]).exists()


@pytest.mark.long
def test_what_debian_would_test_passes(fresh, packages):
    fresh.install(*packages)
    fresh.put("/opt/life", (ROOT / "debian" / "tests" / "life").read_text(), 0o755)
    assert fresh.run("/opt/life").out.endswith("nothing failed")
    assert fresh.run("systemctl", "--failed", "--plain", "--no-legend").out == ""
