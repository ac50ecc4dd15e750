"""`spyglass check` and `spyglass run`: what happens in an app's place, by whom, and what root never does."""

from __future__ import annotations

import json
import signal

import pytest
from sites import NEVER, QUICK

pytestmark = pytest.mark.long

PYTHON = "/opt/venv/bin/python"
OF_DEBIAN = ("python3", "-m", "venv", "--without-pip", "--system-site-packages")  # sees our package for Debian's Python
WSGI = "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'ok']\n"
# A reader for pty.spawn that types Ctrl-C when the program has begun.
TYPES_CTRL_C = "lambda fd: (lambda said: (b'begun' in said and os.write(fd, b'\\x03'), said)[1])(os.read(fd, 1024))"
WHO = "import json, os; print(json.dumps([os.getuid(), os.getcwd(), os.environ['PATH'].split(':')[0]]))"


def spyglass(app, verb, *words, check=True, options=()):
    return app.machine.run("spyglass", verb, *options, app.name, *words, check=check)


def in_place(app, *words, check=True):
    """What a command says that is run in the app's place."""
    return spyglass(app, "run", "--", *words, check=check)


# ### run


def test_a_command_is_run_as_the_app_in_its_directory_with_its_python(site):
    app = site(**NEVER)
    app.configure(app=f"{app.name}:app", chdir=f"/srv/{app.name}", python=PYTHON)
    uid, directory, path = json.loads(in_place(app, "python", "-c", WHO).out)
    assert uid == app.ask("say(os.getuid())") != 0
    assert (directory, path) == (f"/srv/{app.name}", "/opt/venv/bin")


@pytest.mark.long
def test_a_command_has_the_sandbox_of_the_app_and_all_drop_ins(site):
    app = site(service="[Service]\nEnvironment=FROM=%i\nPrivateNetwork=yes\n", **NEVER)
    seen = "grep -E '^(Cap|NoNew|Seccomp:)' /proc/self/status; echo $FROM; umask; ls /root 2>&1; ls /sys/class/net"
    inside = app.ask(f"say(subprocess.run(['sh', '-c', {seen!r}], capture_output=True, text=True).stdout)")
    assert in_place(app, "sh", "-c", seen).out == inside.strip()
    assert f"\n{app.name}\n" in inside


@pytest.mark.long
def test_words_reach_a_command_as_they_are(site):
    app = site()
    words = ["$HOME", "${PATH}", "%i", "a b", 'say "x"', "back\\slash", "two\nlines", "", "é", ";", "-x", "+y"]
    said = in_place(app, "python3", "-c", "import json, sys; print(json.dumps(sys.argv[1:]))", *words).out
    assert json.loads(said) == words


@pytest.mark.long
def test_the_status_and_both_streams_are_passed_on(site):
    app = site()
    done = app.machine.run(
        "spyglass", "run", app.name, "--", "sh", "-c", "cat; echo bad >&2; exit 7", check=False, stdin="from here"
    )
    assert (done.code, done.out, done.err) == (7, "from here", "bad")
    assert in_place(app, "no-such-program", check=False).code == 127


@pytest.mark.long
@pytest.mark.parametrize("name", ["HUP", "INT", "QUIT", "KILL", "SEGV", "TERM"])
def test_a_command_that_a_signal_ends_has_the_status_that_a_shell_gives_it(site, name):
    app = site()
    assert in_place(app, "sh", "-c", f"kill -{name} $$", check=False).code == 128 + signal.Signals[f"SIG{name}"]


@pytest.mark.long
def test_a_command_on_a_terminal_that_is_interrupted_there_is_no_success(site):
    app = site()
    words = ["spyglass", "run", app.name, "--", "sh", "-c", "echo begun; exec sleep 60"]
    types = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:], " + TYPES_CTRL_C + ")))"
    assert app.machine.run("python3", "-c", types, *words, check=False).code == 130


@pytest.mark.long
def test_nothing_is_left_of_a_run(site):
    app = site()
    in_place(app, "true")
    assert app.machine.run("systemctl", "list-units", "--all", "--plain", "--no-legend", "spyglass-run-*").out == ""
    assert app.machine.run("find", "/run/systemd/system", "/run/spyglass", "-name", "*run-*").out == ""


def test_a_run_beside_an_app_that_is_awake_shares_its_state_and_spares_its_scoreboard(site):
    app = site(**NEVER)
    uid = app.ask("open(os.environ['STATE_DIRECTORY'] + '/kept', 'w').write('by the app'); say(os.getuid())")
    said = in_place(app, "sh", "-c", "id -u; cat $STATE_DIRECTORY/kept; echo more >> $STATE_DIRECTORY/kept").out
    assert said.splitlines() == [str(uid), "by the app"]
    assert app.machine.inside(f"/run/spyglass/{app.name}/scoreboard").exists()
    assert app.ask("say(open(os.environ['STATE_DIRECTORY'] + '/kept').read())") == "by the appmore\n"
    assert app.machine.state(app.service) == "active"


@pytest.mark.long
def test_a_run_wakes_nobody(site):
    app = site(**QUICK)
    in_place(app, "true")
    assert app.events() == []


@pytest.mark.long
def test_a_command_on_a_terminal_has_one(site):
    app = site()
    words = f"spyglass run {app.name} -- sh -c 'test -t 0 && test -t 1 && echo a terminal; exit 5'"
    done = app.machine.run("script", "--quiet", "--return", "--command", words, "/dev/null", check=False)
    assert (done.code, done.out.strip().endswith("a terminal")) == (5, True)


@pytest.mark.long
def test_only_root_runs_something_in_the_place_of_the_systems_apps(site):
    app = site()
    done = app.machine.run("runuser", "-u", "nobody", "--", "spyglass", "run", app.name, "--", "true", check=False)
    assert (done.code, "sudo" in done.err) == (77, True)


DJANGO = """
import os
SECRET_KEY, USE_TZ, ROOT_URLCONF, ALLOWED_HOSTS = "x", True, "urls", ["*"]
INSTALLED_APPS = ["django.contrib.sessions"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["STATE_DIRECTORY"] + "/db.sqlite3"}}
"""
MANAGE = """
import sys
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""
WSGI_OF_DJANGO = """
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
def sessions(request):
    from django.contrib.sessions.models import Session
    return HttpResponse(str(Session.objects.count()))
app = get_wsgi_application()
"""
URLS = "from django.urls import path\nfrom {} import sessions\nurlpatterns = [path('', sessions)]\n"


@pytest.mark.long
@pytest.mark.parametrize("python", ["", PYTHON])
def test_django_migrates_into_the_state_directory(site, python):
    app = site(source=WSGI_OF_DJANGO, **QUICK)
    for name, text in (("settings", DJANGO), ("manage", MANAGE), ("urls", URLS.format(app.name))):
        app.machine.put(f"/srv/{app.name}/{name}.py", text)
    here = {
        "app": f"{app.name}:app",
        "chdir": f"/srv/{app.name}",
        "environment": {"DJANGO_SETTINGS_MODULE": "settings"},
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in (here | ({"python": python} if python else {})).items()]
    text = "\n".join(lines).replace('{"DJANGO_SETTINGS_MODULE": ', "{DJANGO_SETTINGS_MODULE = ")
    app.machine.put(f"/etc/spyglass/{app.name}.toml", text + "\n")
    assert "Applying sessions" in in_place(app, "python" if python else "python3", "manage.py", "migrate").out
    assert app.curl().out == "0\n200"
    assert (app.machine.root / app.kept("db.sqlite3")[1:]).exists()


# ### check


def check(app, **options):
    app.configure(**{"app": f"{app.name}:app", "chdir": f"/srv/{app.name}", **options})
    return spyglass(app, "check", check=False)


@pytest.mark.parametrize("python", ["/usr/bin/python3", PYTHON])
def test_a_good_app_is_described(site, python):
    app = site(source=WSGI)
    done = check(app, python=python)
    assert (done.code, done.err) == (0, "")
    assert f"{app.name}: wsgi app, imported in " in done.out
    assert python in done.out


def test_a_broken_app_is_shown_from_its_first_frame_with_what_to_try(site):
    app = site(source="import nothing_like_it\n")
    done = check(app)
    assert done.code == 69
    lines = done.err.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert f"/srv/{app.name}/{app.name}.py" in lines[1]
    assert lines[-2].endswith("ModuleNotFoundError: No module named 'nothing_like_it'")
    assert "is it installed in this very environment?" in lines[-1]


@pytest.mark.long
def test_what_the_sandbox_forbids_at_import_is_found_by_a_check(site):
    done = check(site(source="open('log', 'w')\n" + WSGI))
    assert (done.code, "$STATE_DIRECTORY" in done.err) == (69, True)


@pytest.mark.long
def test_threads_of_an_import_are_named(site):
    wait = "import threading\nthreading.Thread(target=threading.Event().wait, name='mailer', daemon=True).start()\n"
    done = check(site(source=wait + WSGI))
    assert (done.code, "threads that the import has started: mailer" in done.out) == (0, True)


@pytest.mark.long
def test_a_directory_that_is_closed_to_the_app_is_named_with_what_to_do(site):
    app = site(source=WSGI)
    app.machine.run("install", "-d", "-m", "0700", f"/srv/{app.name}/closed/deep")
    app.machine.run("chmod", "0700", f"/srv/{app.name}/closed")
    done = check(app, chdir=f"/srv/{app.name}/closed/deep")
    assert done.code == 78
    assert f"spyglass-{app.name} may not read /srv/{app.name}/closed" in done.err
    assert f"chmod o+x /srv/{app.name}/closed" in done.err


@pytest.mark.long
def test_an_app_in_a_home_is_checked_as_it_will_be_enabled(site):
    app = site(source=WSGI)
    app.machine.run("install", "-d", "-m", "0755", "/home/ada/blog")
    app.machine.run("cp", app.app, "/home/ada/blog")
    assert check(app, chdir="/home/ada/blog").code == 0


@pytest.mark.long
def test_a_shim_is_named_with_its_cure(site):
    app = site(source=WSGI)
    app.machine.put("/opt/shims/python", '#!/bin/sh\nexec "/opt/pyenv/libexec/pyenv" exec python "$@"\n', 0o755)
    done = check(app, python="/opt/shims/python")
    assert (done.code, "LISTEN_PID" in done.err, "pyenv which python" in done.err) == (78, True, True)


@pytest.mark.long
def test_an_environment_without_us_or_with_another_version_of_us_is_told_how_to_get_it(site):
    app = site(source=WSGI)
    venv = f"/opt/{app.name}"
    app.machine.run("python3", "-m", "venv", "--without-pip", venv)
    done = check(app, python=f"{venv}/bin/python")
    assert (done.code, f"spyglass enable {app.name} --install" in done.err) == (78, True)
    site_packages = app.machine.run("sh", "-c", f"echo {venv}/lib/python3.*/site-packages").out
    app.machine.run("mkdir", f"{site_packages}/spyglass_systemd-99.1.0.dist-info")
    done = check(app, python=f"{venv}/bin/python")
    assert (done.code, "has spyglass-systemd 99.1.0, and here is" in done.err) == (78, True)


# ### What root never does


@pytest.mark.long
def test_a_hostile_package_is_run_by_the_apps_user_only(site):
    """site-packages of somebody: a .pth file may hold a line of Python, which each start of the interpreter runs."""
    app = site(source=WSGI)
    venv = f"/srv/{app.name}/venv"
    app.machine.run(*OF_DEBIAN, venv)
    app.machine.run("install", "-d", "-m", "0777", "/srv/ran-at-start")
    app.machine.run("rm", "-f", "/srv/ran-at-start/by")
    packages = app.machine.run("sh", "-c", f"echo {venv}/lib/python3.*/site-packages").out
    app.machine.put(f"{packages}/x.pth", "import os; open('/srv/ran-at-start/by', 'a').write(f'{os.getuid()} ')\n")
    app.drop_in("service", "[Service]\nReadWritePaths=/srv/ran-at-start\n")
    app.machine.run("systemctl", "daemon-reload")
    assert check(app, python=f"{venv}/bin/python").code == 0
    spyglass(app, "run", "--", "python", "-c", "")
    ran = app.machine.run("cat", "/srv/ran-at-start/by").out.split()
    assert len(ran) >= 2
    assert "0" not in ran


EVIL = "#!/bin/sh\nid -u >> /tmp/ran; id -u >> /var/lib/ran; id -u >> /srv/ran/by; echo evil; exit 0\n"


@pytest.mark.parametrize("verb", ["check", "run"])
def test_a_hostile_interpreter_is_run_by_the_apps_user_or_by_nobody(site, verb):
    app = site(source=WSGI)
    venv = f"/srv/{app.name}/venv"
    app.machine.run("rm", "-rf", "/srv/ran", "/tmp/ran", "/var/lib/ran")
    app.machine.run("install", "-d", "-m", "0777", "/srv/ran")
    app.machine.run(*OF_DEBIAN, venv)
    app.machine.run("rm", f"{venv}/bin/python")
    app.machine.put(f"{venv}/bin/python", EVIL, 0o755)
    app.drop_in("service", "[Service]\nReadWritePaths=/srv/ran\n")
    app.machine.run("systemctl", "daemon-reload")
    app.configure(app=f"{app.name}:app", chdir=f"/srv/{app.name}", python=f"{venv}/bin/python")
    words = ("--", "python", "-c", "") if verb == "run" else ()
    spyglass(app, verb, *words, check=False)
    ran = app.machine.run("sh", "-c", "cat /srv/ran/by /tmp/ran /var/lib/ran 2>/dev/null", check=False).out.split()
    assert "0" not in ran
    assert bool(ran) is (verb == "run")


@pytest.mark.long
def test_an_app_that_writes_to_the_terminal_of_root_writes_text(site):
    done = check(site(source="raise Exception('\\x1b]0;owned\\x07')\n"))
    assert (done.code, "\x1b" in done.err) == (69, False)
    assert "owned" in done.err


# ### By somebody else than root; for a user's own manager see test_user


@pytest.mark.long
def test_a_check_by_a_developer_needs_no_rights_and_no_site(site):
    app = site(source=WSGI)
    words = ("runuser", "-u", "nobody", "--", "spyglass", "check", "--chdir", f"/srv/{app.name}", f"{app.name}:app")
    assert "wsgi app, imported in" in app.machine.run(*words).out
