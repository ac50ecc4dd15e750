"""What an app may do and what it may not, by the units as they are installed, and by each drop-in."""

from __future__ import annotations

from pathlib import Path

import pytest
from sites import NEVER

from spyglass_systemd.words.spans import parse_span

DROPINS = "/usr/share/spyglass-systemd/dropins"
NAMES = sorted(path.stem for path in (Path(__file__).parents[2] / "units" / "dropins").glob("*.conf"))
NEWER = {"notify-reload": 253, "restart-steps": 254}  # the systemd that knows it
WHO = "say([os.getuid(), os.getgid()])"
# Python that works with the drop-in, and fails without it: what it loosens; the other way round: what it tightens.
LOOSER = {
    "home": "os.listdir('/home')",
    "proc": "open('/proc/meminfo').read()",
    "netlink": "socket.if_nameindex()",
    "setgid": "os.chmod(os.environ['STATE_DIRECTORY'], 0o2750)",
    "priorities": "os.nice(1)",
    "ownership": "os.chown(os.environ['STATE_DIRECTORY'], os.getuid(), os.getgid())",
    "writable": "open('media/upload', 'w').close()",
    "namespaces": "subprocess.run(['unshare', '--user', 'true'], check=True)",
}
FIXED = {"setgid"}  # these take a fixed user
TIGHTER = {
    "no-outgoing": "socket.create_connection(('127.0.0.1', 9000))",
    "no-jit": "import mmap; mmap.mmap(-1, 4096, prot=7)",
    "no-other-users": "assert os.stat('/etc/shadow').st_gid == 42",
}


def tried(app, source):
    """Whether the app can do it, or what went wrong."""
    lines = "".join(f"    {line}\n" for line in source.splitlines())
    return app.ask(f"try:\n{lines}    say(True)\nexcept BaseException as error: say(repr(error))")


def app_sees(app, directory):
    """What is in a directory, for the app; or what went wrong."""
    return app.ask(f"try: say(os.listdir('{directory}'))\nexcept OSError as error: say(error.strerror)")


def with_drop_in(app, name):
    app.machine.run("systemctl", "stop", app.service)
    text = (app.machine.root / DROPINS[1:] / f"{name}.conf").read_text()
    app.drop_in("service", text, name)
    app.machine.run("systemctl", "daemon-reload")


def with_fixed_user(app):
    """As `spyglass enable` writes it for `user = ...`."""
    app.machine.run("useradd", "--system", app.name)
    app.drop_in("service", f"[Service]\nDynamicUser=no\nUser={app.name}\n", "50-spyglass")


@pytest.mark.long
@pytest.mark.parametrize("name", LOOSER)
def test_what_a_drop_in_loosens_is_forbidden_without_it(site, name):
    app = site(**NEVER)
    app.machine.run("install", "-d", "-m", "0777", f"/srv/{app.name}/media")
    assert tried(app, LOOSER[name]) is not True
    if name in FIXED:
        with_fixed_user(app)
    with_drop_in(app, name)
    assert tried(app, LOOSER[name]) is True


@pytest.mark.long
@pytest.mark.parametrize("name", TIGHTER)
def test_what_a_drop_in_tightens_is_allowed_without_it(site, name):
    app = site(**NEVER)
    app.machine.run("systemd-run", "--quiet", "--unit=port", "python3", "-m", "http.server", "9000")
    try:
        app.machine.run("sh", "-c", "until ss -Hltn sport = :9000 | grep -q .; do sleep 0.05; done")
        assert tried(app, TIGHTER[name]) is True
        with_drop_in(app, name)
        assert tried(app, TIGHTER[name]) is not True
    finally:
        app.machine.run("systemctl", "stop", "port.service")


def test_an_app_reaches_this_machine_only_where_that_is_said(site):
    """192.0.2.1 (RFC 5737) is this machine, too; but its number does not say so."""
    app = site(**NEVER)
    app.machine.run("ip", "address", "replace", "192.0.2.1/32", "dev", "lo")
    here, there = (f"socket.create_connection(('{address}', 9), 1)" for address in ("127.0.0.1", "192.0.2.1"))
    assert "ConnectionRefusedError" in tried(app, there)
    with_drop_in(app, "only-localhost")
    assert "ConnectionRefusedError" in tried(app, here)
    assert "TimeoutError" in tried(app, there)


def test_a_limit_of_memory_is_set_by_its_drop_in(site, limited):
    app = site(on=limited, **NEVER)
    with_drop_in(app, "limits")
    app.request()
    assert app.show("MemoryMax", "TasksMax") == {"MemoryMax": str(400 << 20), "TasksMax": "100"}


def test_set_user_id_programs_work_where_that_is_said(site):
    app = site(**NEVER)
    app.machine.run("install", "-m", "4755", "/usr/bin/id", f"/srv/{app.name}/id-of-root")
    source = f"assert subprocess.check_output(['/srv/{app.name}/id-of-root', '-u']) == b'0\\n'"
    assert tried(app, source) is not True
    with_fixed_user(app)
    with_drop_in(app, "helpers")
    assert tried(app, source) is True


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_systemd_understands_each_drop_in(site, name):
    app = site(**NEVER)
    version = int(app.machine.run("systemctl", "--version").out.split()[1])
    if version < NEWER.get(name, 0):
        pytest.skip(f"systemd {NEWER[name]} and newer; this is {version}")
    with_drop_in(app, name)
    checked = app.machine.run("systemd-analyze", "verify", "--man=no", app.service, check=False)
    assert (checked.code, checked.out + checked.err) == (0, "")


def test_a_reload_returns_when_the_new_code_serves_where_systemd_can_wait(site):
    source = "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'{}']\n"
    app = site(source=source.format("old"), **NEVER)
    version = int(app.machine.run("systemctl", "--version").out.split()[1])
    if version < NEWER["notify-reload"]:
        pytest.skip(f"systemd {version} cannot")
    with_drop_in(app, "notify-reload")
    assert app.request().body == b"old"
    app.until("active")
    app.write("import time; time.sleep(0.5)\n" + source.format("new"))
    app.machine.run("systemctl", "reload", app.service)
    assert app.request().body == b"new"


# ### The units


def test_systemd_has_nothing_to_say_about_the_units(site):
    app = site(**NEVER)
    checked = app.machine.run("systemd-analyze", "verify", "--man=no", app.service, app.socket, check=False)
    assert (checked.code, checked.out + checked.err) == (0, "")
    app.machine.run("systemctl", "start", "user@0.service")
    user = ("env", "XDG_RUNTIME_DIR=/run/user/0", "systemd-analyze", "--user")
    checked = app.machine.run(*user, "verify", "--man=no", app.service, app.socket, check=False)
    assert (checked.code, checked.out + checked.err) == (0, "")


def test_the_exposure_of_an_app_is_1_3(site):
    app = site(**NEVER)
    app.request()
    said = app.machine.run("systemd-analyze", "security", "--no-pager", app.service).out
    exposure = said.splitlines()[-1].partition(": ")[2].split()[0]
    assert float(exposure) <= 1.3


def test_each_app_is_a_user_of_its_own_and_reads_nobody_elses_state(site):
    one, other = site(**NEVER), site(**NEVER)
    assert one.ask(WHO) != other.ask(WHO)
    kept = other.kept("secret")
    assert tried(other, f"open('{kept}', 'w').close()") is True
    assert (one.machine.root / kept[1:]).exists()
    for path in (kept, f"/var/lib/spyglass/{other.name}/secret"):
        assert tried(one, f"open('{path}')") is not True
    for path in ("/var/lib/private/spyglass", f"/var/lib/spyglass/{other.name}"):
        assert other.name not in str(app_sees(one, path))
    assert one.show("ControlGroup") == f"/spyglass.slice/{one.service}"


def test_it_works_in_its_state_directory_and_keeps_what_it_keeps_there(site):
    app = site(chdir=".", app="knife:app", pythonpath=["/srv/knife"], idle="0.2s", min_awake="0s")
    app.machine.put("/srv/knife/knife.py", (app.machine.root / app.app[1:]).read_text())
    assert tried(app, "open('kept', 'w').write('kept')") is True
    user = app.ask(WHO)
    app.until("inactive")
    assert (app.machine.root / app.kept("kept")[1:]).read_text() == "kept"
    assert app.ask("say(open('kept').read())") == "kept"
    assert app.ask(WHO) == user


def test_anybody_may_look_at_the_scoreboard_while_there_is_one(site):
    app = site(idle="0.3s", min_awake="0s")
    board = f"/run/spyglass/{app.name}/scoreboard"
    app.request()
    assert app.machine.run("runuser", "-u", "nobody", "--", "head", "-c1", board, check=False).code == 0
    app.until("inactive")
    assert not app.machine.inside(f"/run/spyglass/{app.name}").exists()
    assert app.machine.inside(app.path).exists()


def test_what_the_app_prints_is_in_the_journal_at_once(site):
    app = site(**NEVER)
    app.ask("print('printed'); say(1)")
    assert "printed" in app.log("--identifier=spyglass").splitlines()


def test_stopping_has_more_time_than_a_drain(site):
    assert parse_span(site(**NEVER).show("TimeoutStopUSec")) == 40
