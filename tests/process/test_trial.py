"""One import of an app, as its Template does it, and what is said of it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from spyglass_systemd.tools import trial
from spyglass_systemd.words.errors import AppError
from spyglass_systemd.words.options import Settings

WSGI = "def app(environ, start_response): return []\n"


@pytest.fixture
def tried(tmp_path):
    """Tries the app of this source."""

    def tried(source, **more):
        (tmp_path / "blog.py").write_text(source)
        settings = Settings(**{"app": "blog:app", "name": "blog", "chdir": str(tmp_path), **more})
        return settings, trial.hold(settings)

    return tried


def test_a_good_app_is_described(tried):
    assert trial.told(*tried(WSGI)).startswith("blog: wsgi app, imported in ")
    asgi = "async def app(scope, receive, send): pass\n"
    settings = {"app": "", "listeners": {"http": {"app": "blog:app"}, "live": {"app": "blog:live"}}}
    assert tried(WSGI + asgi.replace("app", "live"), **settings)[1].kinds == "wsgi asgi"


def test_an_app_that_each_worker_imports_is_imported_all_the_same(tried):
    assert tried(WSGI, preload=False)[1].kinds == "wsgi"


def test_threads_are_named(tried):
    wait = "import threading\nthreading.Thread(target=threading.Event().wait, name='mailer').start()\n"
    assert "has started: mailer" in trial.told(*tried(wait + WSGI))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import os; os._exit(3)", "has ended (exit 3)"),
        ("import os; os.kill(os.getpid(), 9)", "has ended (signal SIGKILL)"),
        ("import sys; sys.exit(4)", "SystemExit(4)"),
        ("import threading; threading.Event().wait()", "is not over after 300ms"),
    ],
)
def test_whatever_an_import_does_somebody_is_left_to_say_so(tried, source, message):
    with pytest.raises(AppError) as caught:
        tried(source, import_timeout=0.3 if "Event" in source else 20.0)
    assert message in caught.value.message


def test_a_failed_import_has_its_traceback_and_a_hint(tried):
    with pytest.raises(AppError, match="No module named 'nothing_like_it'") as caught:
        tried("import nothing_like_it")
    assert caught.value.trace.splitlines()[1].endswith('blog.py", line 1, in <module>')
    assert "pythonpath=" in caught.value.hint


@pytest.mark.parametrize(
    ("summary", "sign"),
    [
        ("importing 'a': PermissionError: [Errno 13] Permission denied: 'x'", "$STATE_DIRECTORY"),
        ("importing 'a': OSError: [Errno 30] Read-only file system: 'x'", "writable.conf"),
        ("importing 'a': KeyError: 'SECRET'", "[environment]"),
    ],
)
def test_what_people_meet_first_in_a_sandbox_has_a_remedy(summary, sign):
    assert sign in trial.remedy(summary)


def test_what_nobody_can_guess_has_none():
    assert trial.remedy("importing 'a': ZeroDivisionError: division by zero") == ""


def test_the_program_ends_with_the_status_of_what_it_found(tmp_path):
    (tmp_path / "blog.py").write_text(WSGI)
    for app, status in (("blog:app", 0), ("blog:nothing", 69), ("nonsense", 64)):
        command = [sys.executable, "-m", "spyglass_systemd", "trial", "--chdir", str(tmp_path), app]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, bool(done.stdout), bool(done.stderr)) == (status, status == 0, status != 0)
