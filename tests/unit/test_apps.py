"""From `module:attribute` to an app, and what is said when it is none."""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from pathlib import Path

import pytest

from spyglass_systemd.protocols import apps
from spyglass_systemd.words.errors import ActivationError, AppError
from spyglass_systemd.words.listener import AF_UNIX, Lead, Listener
from spyglass_systemd.words.options import Settings


@pytest.fixture(autouse=True)
def _as_before(monkeypatch, tmp_path):
    """A process to spoil: its directory, environment, path and modules are put back."""
    modules, path, environ, before = dict(sys.modules), list(sys.path), dict(os.environ), os.getcwd()  # noqa: PTH109
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # a changed file of the same second is read
    os.chdir(tmp_path)
    yield
    os.chdir(before)
    os.environ.clear()
    os.environ.update(environ)
    time.tzset()
    sys.path[:] = path
    for name in set(sys.modules) - set(modules):
        del sys.modules[name]
    sys.path_importer_cache.clear()


@pytest.fixture
def write(tmp_path):
    """Writes a module into a directory, which is entered."""

    def write(source, name="blog.py", directory="."):
        file = tmp_path / directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source)
        return file

    apps.enter(Settings(chdir=str(tmp_path)))
    return write


def failure(spec="blog:app"):
    with pytest.raises(AppError) as caught:
        apps.load(spec)
    return caught.value


WSGI = "def app(environ, start_response): return [b'%s']\n"


# ### Where the app lives


def test_the_app_finds_its_directory_its_path_and_its_environment(tmp_path):
    settings = Settings(chdir=str(tmp_path / "app"), pythonpath=("lib", "/opt/x/../y"), environment={"BLOG": "1"})
    (tmp_path / "app").mkdir()
    before = list(sys.path)
    apps.enter(settings)
    assert os.getcwd() == str(tmp_path / "app")  # noqa: PTH109
    assert sys.path[:3] == [str(tmp_path / "app"), str(tmp_path / "app/lib"), "/opt/y"]
    assert sys.path[3:] == before
    assert os.environ["BLOG"] == "1"


def test_a_relative_directory_is_one_below_the_masters(tmp_path):
    (tmp_path / "app").mkdir()
    apps.enter(Settings(chdir="app"))
    assert sys.path[0] == str(tmp_path / "app")


def test_entering_twice_changes_the_path_once(tmp_path):
    apps.enter(Settings(chdir=str(tmp_path), pythonpath=("lib",)))
    before = list(sys.path)
    apps.enter(Settings(chdir=str(tmp_path), pythonpath=("lib",)))
    assert sys.path == before


def test_a_time_zone_in_the_environment_counts():
    apps.enter(Settings(environment={"TZ": "XYZ-9"}))
    assert time.strftime("%Z %H", time.localtime(0)) == "XYZ 09"


@pytest.mark.parametrize(("chdir", "why"), [("nowhere", "No such file or directory"), ("file", "Not a directory")])
def test_a_directory_that_cannot_be_entered_is_named(tmp_path, chdir, why):
    (tmp_path / "file").touch()
    with pytest.raises(AppError, match=f"the working directory {chdir} cannot be entered: {why}") as caught:
        apps.enter(Settings(chdir=chdir))
    assert "chdir=" in caught.value.hint


def test_a_directory_that_was_deleted_under_us_is_no_bug_of_ours(tmp_path):
    """A release that was removed, with a Lookout that was started in it."""
    (tmp_path / "release").mkdir()
    os.chdir(tmp_path / "release")
    (tmp_path / "release").rmdir()
    with pytest.raises(AppError, match="cannot be entered: No such file"):
        apps.enter(Settings())
    apps.enter(Settings(chdir=str(tmp_path)))
    assert sys.path[0] == str(tmp_path)


def test_a_deploy_by_symlink_loads_the_new_release(tmp_path, write):
    for release in ("1", "2"):
        write(WSGI % release, directory=f"releases/{release}")
    current = tmp_path / "current"
    answers = []
    for release in ("1", "2"):
        new = tmp_path / "new"
        new.symlink_to(f"releases/{release}")
        new.rename(current)
        apps.enter(Settings(chdir=str(current)))
        assert sys.path[0] == str(current)  # not what it points to
        answers += apps.load("blog:app")({}, None)
        del sys.modules["blog"]  # as another Template: it never had it
    assert answers == [b"1", b"2"]


def test_a_module_that_came_after_the_last_look_is_found(tmp_path, write):
    """In the same tick of the clock that stamps directories."""
    assert failure("later:app")
    before = tmp_path.stat()
    write(WSGI % "x", "later.py")
    os.utime(tmp_path, ns=(before.st_atime_ns, before.st_mtime_ns))
    apps.enter(Settings(chdir=str(tmp_path)))
    assert apps.load("later:app")


# ### What is named


@pytest.mark.parametrize(
    ("spec", "source"),
    [
        ("blog:app", WSGI % "x"),
        ("blog:make()", "def make():\n    def app(environ, start_response): return [b'x']\n    return app\n"),
        ("blog:Site.app", "class Site:\n    @staticmethod\n    def app(environ, start_response): return [b'x']\n"),
        ("blog:Site.make()", f"{WSGI % 'x'}\nclass Site:\n    @staticmethod\n    def make(): return app\n"),
        ("blog:app", "def __getattr__(name):\n    return lambda environ, start_response: [b'x']\n"),
    ],
)
def test_an_app_is_an_attribute_or_what_a_factory_makes(write, spec, source):
    write(source)
    assert apps.load(spec)({}, None) == [b"x"]


def test_a_module_of_a_package_is_found(write):
    write("", "__init__.py", directory="site_")
    write(WSGI % "x", "wsgi.py", directory="site_")
    assert apps.load("site_.wsgi:app")({}, None) == [b"x"]


def test_a_factory_is_called_once(write):
    write("made = []\ndef make():\n    made.append(1)\n    return make\n")
    apps.load("blog:make()")
    assert sys.modules["blog"].made == [1]


# ### What is missing


@pytest.mark.parametrize(
    ("spec", "name"), [("bolg:app", "bolg"), ("site_.wsgi:app", "site_"), ("os.nowhere:app", "os.nowhere")]
)
def test_a_module_that_is_not_there_is_named_with_where_it_was_looked_for(tmp_path, write, spec, name):
    write(WSGI % "x")
    error = failure(spec)
    assert error.message.startswith(f"no module named {name!r} (looked in {tmp_path}, ")
    assert "virtual environment" in error.hint
    assert error.trace == ""


def test_a_module_that_the_app_misses_is_the_apps_own_failure(write):
    write("import nowhere\n")
    error = failure()
    assert error.message == "importing 'blog': ModuleNotFoundError: No module named 'nowhere'"
    assert "import nowhere" in error.trace


def test_a_module_of_its_own_package_that_the_app_misses_is_its_own_failure_too(write):
    write("", "__init__.py", directory="site_")
    write("import site_.nowhere\n", "wsgi.py", directory="site_")
    assert failure("site_.wsgi:app").message.startswith("importing 'site_.wsgi': ModuleNotFoundError")


def test_an_error_that_names_no_module_is_the_apps_own(write):
    write("raise ModuleNotFoundError('x')\n")
    assert failure().message == "importing 'blog': ModuleNotFoundError: x"


@pytest.mark.parametrize(
    ("spec", "message", "hint"),
    [
        ("blog:ap", "'blog' has no attribute 'ap'", "did you mean 'app'?"),
        ("blog:application", "'blog' has no attribute 'application'", "did you mean 'app'?"),
        ("blog:zzz", "'blog' has no attribute 'zzz'", "APP is module:attribute, or module:factory()"),
        ("blog:mkae()", "'blog' has no attribute 'mkae'", "did you mean 'make'?"),
        ("blog:wsgi", "'blog' has no attribute 'wsgi'", "did you mean 'wsgi_of_this_site'?"),
        ("blog:dbx_of_it_all", "'blog' has no attribute 'dbx_of_it_all'", "did you mean 'dbx'?"),
        (
            "blog:io_of_it_all",
            "'blog' has no attribute 'io_of_it_all'",
            "APP is module:attribute, or module:factory()",
        ),
        ("blog:app.nothing", "'blog' has no attribute 'nothing'", "APP is module:attribute, or module:factory()"),
    ],
)
def test_an_attribute_that_is_not_there_is_named_with_one_that_is(write, spec, message, hint):
    write(f"{WSGI % 'x'}\ndef make(): return app\nwsgi_of_this_site = app\ndbx = io = 1\n")
    error = failure(spec)
    assert (error.message, error.hint, error.trace) == (message, hint, "")


@pytest.mark.parametrize(
    ("spec", "source", "message"),
    [
        ("blog:app", "app = 3\n", "blog:app is 'int', not an app that can be called"),
        ("blog:make()", "def make(): pass\n", "blog:make() is 'NoneType', not an app that can be called"),
    ],
)
def test_what_cannot_be_called_is_no_app(write, spec, source, message):
    write(source)
    error = failure(spec)
    assert error.message == message
    assert "create_app()" in error.hint


# ### What breaks


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("1 / 0\n", "ZeroDivisionError: division by zero"),
        ("app = = 3\n", "SyntaxError: invalid syntax"),
        ("raise SystemExit\n", "SystemExit(None)"),
        ("raise SystemExit('set SECRET_KEY')\n", "SystemExit('set SECRET_KEY')"),
        ("import sys\nsys.exit(3)\n", "SystemExit(3)"),
        ("raise KeyboardInterrupt\n", "KeyboardInterrupt"),
        ("class Odd(BaseException): pass\nraise Odd\n", "blog.Odd"),
        ("raise ValueError('one\\ntwo')\n", r"ValueError: one\ntwo"),
        ("raise ValueError('\\ud800 \\x1b[0m')\n", r"ValueError: \ud800 \x1b[0m"),
        ("e = ValueError('x')\ne.add_note('hint')\nraise e\n", "ValueError: x"),
        ("raise ExceptionGroup('two', [ValueError(1), KeyError(2)])\n", "ExceptionGroup: two (2 sub-exceptions)"),
        ("class Bad(Exception):\n    def __str__(self): 1/0\nraise Bad\n", "blog.Bad: <exception str() failed>"),
        ("import sys\ndel sys.modules['blog']\n", "KeyError: 'blog'"),
    ],
)
def test_whatever_the_app_raises_is_told_in_one_line(write, source, message):
    write(source)
    error = failure()
    assert error.message == f"importing 'blog': {message}"
    assert error.exit_code == 69


def test_a_message_without_end_is_cut(write):
    write("raise ValueError('x' * 10**6)\n")
    assert len(failure().message) < 600


def test_the_traceback_begins_with_the_apps_first_frame(write):
    write("import helper\n", "blog.py")
    write("def f():\n    raise ValueError('x')\nf()\n", "helper.py")
    trace = failure().trace
    assert trace.startswith("Traceback (most recent call last):\n")
    frames = re.findall(r'^  File "(?:<frozen importlib|.*/)(.*?)"', trace, re.MULTILINE)
    assert [frame for frame in frames if frame.endswith(".py")] == ["blog.py", "helper.py", "helper.py"]
    assert frames[0] == "blog.py"
    assert "spyglass_systemd" not in trace
    assert trace.endswith("ValueError: x\n")


def test_a_syntax_error_shows_its_line(write):
    file = write("x = 1\napp = = 3\n")
    trace = failure().trace
    assert f'File "{file}", line 2' in trace
    assert "app = = 3" in trace
    assert "importlib" not in trace


def test_a_cause_and_a_note_are_shown(write):
    write("try:\n    1/0\nexcept ZeroDivisionError as e:\n    e.add_note('a hint')\n    raise ValueError('x') from e\n")
    trace = failure().trace
    assert "a hint" in trace
    assert "direct cause" in trace
    assert "spyglass_systemd" not in trace


def test_an_app_that_lives_beside_us_is_not_taken_for_ours(write, monkeypatch, tmp_path):
    monkeypatch.setattr(apps, "_OURS", str(tmp_path / "spyglass") + os.sep)
    write("1 / 0\n", directory="spyglass_blog")
    apps.enter(Settings(chdir="spyglass_blog"))
    assert "1 / 0" in failure().trace


def test_a_factory_that_fails_is_the_apps_failure(write):
    write("def make():\n    raise ValueError('no database')\n")
    error = failure("blog:make()")
    assert error.message == "calling blog:make(): ValueError: no database"
    assert error.trace.count("File ") == 1
    assert "in make" in error.trace


@pytest.mark.parametrize("raised", ["ImportError('x')", "SystemExit(3)"])
def test_an_attribute_whose_lookup_fails_is_the_apps_failure(write, raised):
    write(f"def __getattr__(name):\n    raise {raised}\n")
    error = failure()
    assert error.message.startswith("looking up blog:app: ")
    assert "in __getattr__" in error.trace


# ### Listeners and their apps


def listener(name=""):
    return Listener(3, name, AF_UNIX, "/run/x")


def test_every_listener_leads_to_the_one_app_whatever_its_name():
    settings = Settings(app="blog:app", kind="wsgi", root_path="/blog")
    http, admin = apps.leads(settings, (listener("http"), listener()))
    for lead in (http, admin):
        assert (lead.spec, lead.kind, lead.root_path, lead.app) == ("blog:app", "wsgi", "/blog", None)
    assert repr(http) == "<Lead http to blog:app (wsgi)>"


def test_a_listener_with_an_app_of_its_own_leads_there():
    own = {"admin": {"app": "admin:app", "root_path": "/admin"}, "push": {"kind": "asgi"}}
    settings = Settings(app="blog:app", kind="wsgi", root_path="/blog", listeners=own)
    leads = apps.leads(settings, (listener("http"), listener("admin"), listener("push")))
    assert [(lead.spec, lead.kind, lead.root_path) for lead in leads] == [
        ("blog:app", "wsgi", "/blog"),
        ("admin:app", "auto", "/admin"),
        ("blog:app", "asgi", "/blog"),
    ]


def test_a_name_that_no_listener_has_is_an_error():
    settings = Settings(app="blog:app", listeners={"admin": {"app": "admin:app"}})
    with pytest.raises(ActivationError, match="no listener is called 'admin'; we were handed http, one without a name"):
        apps.leads(settings, (listener("http"), listener()))


@pytest.mark.parametrize(("name", "key"), [("http", "http"), ("", "NAME")])
def test_a_listener_that_leads_nowhere_is_an_error(name, key):
    settings = Settings(listeners={"admin": {"app": "admin:app"}})
    with pytest.raises(ActivationError, match="leads to no app") as caught:
        apps.leads(settings, (listener("admin"), listener(name)))
    assert f"[listeners.{key}] app=" in caught.value.hint


def test_each_app_is_loaded_once_and_its_kind_found_out(write):
    write("async def push(scope, receive, send): pass\ndef make():\n    made.append(1)\n    return push\nmade = []\n")
    leads = [Lead(listener(), spec, kind, "") for spec, kind in [("blog:make()", "auto"), ("blog:make()", "raw")]]
    assert apps.fill(tuple(leads)) == ("asgi", "raw")
    assert leads[0].app is leads[1].app is sys.modules["blog"].push
    assert sys.modules["blog"].made == [1]


def test_one_app_that_fails_fails_them_all(write):
    write(WSGI % "x")
    leads = [Lead(listener(), spec, "auto", "") for spec in ("blog:app", "blog:nothing")]
    with pytest.raises(AppError, match="nothing"):
        apps.fill(tuple(leads))


def test_a_traceback_through_two_modules_has_the_frames_of_both_and_no_others(write):
    write("raise RuntimeError('no database')\n", "inner.py")
    write("import inner\napp = 1\n")
    files = [line for line in failure().trace.splitlines() if line.startswith("  File ")]
    assert len(files) == 2
    assert "blog.py" in files[0]
    assert "inner.py" in files[1]


# ### Threads


def test_a_thread_that_has_ended_meanwhile_has_a_number_for_a_name(monkeypatch):
    monkeypatch.setattr(os, "listdir", lambda _: ["1", str(threading.get_native_id())])
    assert apps.threads() == ("thread 1",)


def test_a_thread_is_called_what_the_app_calls_it():
    over = threading.Event()
    thread = threading.Thread(target=over.wait, name="poller")
    thread.start()
    try:
        assert "poller" in apps.threads()
    finally:
        over.set()
        thread.join()


def test_a_thread_without_a_name_is_called_what_the_kernel_calls_it(monkeypatch):
    monkeypatch.delitem(sys.modules, "threading")
    monkeypatch.setattr(apps, "get_native_id", lambda: -1)
    assert Path("/proc/self/task", str(threading.get_native_id()), "comm").read_text().strip() in apps.threads()
