from __future__ import annotations

import errno
import marshal
import os
import subprocess
import sys
from pathlib import Path

import pytest

from spyglass_systemd.protocols import config
from spyglass_systemd.protocols.config import read
from spyglass_systemd.words.errors import ConfigError


@pytest.fixture
def written(tmp_path):
    def write(content):
        path = tmp_path / "blog.toml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


def test_each_type_of_toml_becomes_the_value_of_its_option(written):
    path = written("""
app = "blog.wsgi:application"
idle = "1h 30min"
doze = 300
drain = 2.5
workers = 3
preload = false
body_limit = "20MiB"
spool = 4096
pythonpath = ["lib", "vendor"]
listen = "http=127.0.0.1:8000"
user = "blog"

[environment]
A = "1"
PORT = 8000
""")
    assert read(path) == {
        "app": "blog.wsgi:application",
        "idle": 5400.0,
        "doze": 300.0,
        "drain": 2.5,
        "workers": 3,
        "preload": False,
        "body_limit": 20 * 1024 * 1024,
        "spool": 4096,
        "pythonpath": ("lib", "vendor"),
        "listen": ("http=127.0.0.1:8000",),
        "user": "blog",
        "environment": {"A": "1", "PORT": "8000"},
    }


def test_listeners_may_be_a_list(written):
    assert read(written('listen = ["8000", "unix:/run/x"]')) == {"listen": ("8000", "unix:/run/x")}


def test_a_listener_may_lead_to_an_app_of_its_own(written):
    content = '[listeners.admin]\napp = "blog.admin:app"\nkind = "wsgi"\n[listeners.gossip]\napp = "blog:gossip"\n'
    assert read(written(content)) == {
        "listeners": {"admin": {"app": "blog.admin:app", "kind": "wsgi"}, "gossip": {"app": "blog:gossip"}}
    }


def test_an_empty_file_sets_nothing(written):
    assert read(written("")) == {}


@pytest.mark.parametrize(
    ("content", "says", "hint"),
    [
        ("idle = \n", "is not TOML: .* line 1", "a line looks like"),
        ('app = "a:b"\nidle = 5\nidle = 6\n', "is not TOML: .* line 3", ""),
        (b"app = '\xff'", "is not TOML: .*utf-8", ""),
        ("# idel = 1\n\nidel = 5", ":3: there is no key 'idel'", "did you mean idle?"),
        ('"idel" = 5', ":1: there is no key 'idel'", "did you mean idle?"),
        ("min-awake = 5", ":1: there is no key 'min-awake'", "did you mean min_awake?"),
        ("qqq = 5", ":1: there is no key 'qqq'", ""),
        ("config = 'x'", ":1: there is no key 'config'", ""),
        ("lookout_pid = 5", ":1: there is no key 'lookout_pid'", ""),
        ("[listenrs.http]\napp = 'a:b'", ":1: there is no key 'listenrs'", "did you mean listeners?"),
        ("[listeners.http]\nkind = 'raw'", ":1: listeners: .* is not a table with app=", "Apps of their own"),
        ("[listeners.http]\napp = 'a:b'\nworkers = 2", ":1: listeners: 'workers' is not a key of listeners.http", ""),
        ("[listeners.http]\napp = 'a:b'\nworkers = 2", ":1: listeners: 'workers' is not", "above the first table"),
        (
            "[[screen]]\npath = '/x'\npython = '/p'",
            ":1: screen: rule 1: 'python' is not one of",
            "above the first table",
        ),
        ("[credentials]\nx = '/x'\nkind = 'wsgi'", ":1: credentials: 'wsgi' is not a whole", "above the first table"),
        ("[environment]\nlisten = ['8000']", ":1: environment: .* is not text, and listen", "above the first table"),
        ("[listeners.http]\napp = 'ab'", ":1: listeners: 'ab' is not an app", "Apps of their own"),
        ("[[screen]]\npath = 'x'", ":1: screen: rule 1: a path begins with /", "Answer these requests"),
        ("app = 'a:b'\nnginx = 'a b;'", ":2: nginx: 'a b;' is not the name of a host", "nginx: Host names"),
        ("listeners = 5", ":1: listeners: 5 is not a table of listeners", ""),
        ("idle = 'soon'", ":1: idle: 'soon' is not a span of time", "idle: Go to sleep"),
        ("app = 'a:b'\nworkers = 0", ":2: workers: 0 is not a whole number from 1 on", "workers: Fork"),
        ("app = 'a:b'\n[environment]\nA = true", ":2: environment: True is not text", "Set this variable"),
        ("environment.A = 1.5", ":1: environment: 1.5 is not text", ""),
        ("idle = 1" + "0" * 400, ":1: idle: 10+ is not a span of time", "idle: Go to sleep"),
        ("workers = " + "[" * 5000, "is not read: it is nested too deeply", "an array in an array"),
        ("workers = " + "{a=" * 5000, "is not read: it is nested too deeply", "an array in an array"),
        ("'\\u0069dle' = 5", ": there is no key '.*u0069dle'", ""),
        ('"\\u0069dlee" = 5', "blog.toml: there is no key 'idlee'", "did you mean idle?"),
    ],
)
def test_a_bad_file_is_refused_with_its_line_and_what_to_do(written, content, says, hint):
    path = written(content)
    with pytest.raises(ConfigError, match=says) as caught:
        read(path)
    assert caught.value.message.startswith(path)
    assert hint in caught.value.hint
    assert caught.value.exit_code == 78


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nope\.toml cannot be read: No such file"):
        read(str(tmp_path / "nope.toml"))


def test_a_file_that_may_not_be_read_says_who_has_to(written, monkeypatch):
    def refuses(*_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    path = written("")
    monkeypatch.setattr(config, "open", refuses, raising=False)
    with pytest.raises(ConfigError, match="cannot be read: Permission denied") as caught:
        read(path)
    assert caught.value.hint == f"the user of the app reads it: `chmod 644 {path}`, or give it to a group of his"


@pytest.mark.parametrize(("content", "is_there"), [('[[screen]]\npath = "/healthz"', False), ("idle = 5", True)])
def test_who_screens_does_not_keep_the_parser(written, content, is_there):
    path = written(content)
    said = "import sys; print('tomllib' in sys.modules)"
    program = f"from spyglass_systemd.protocols.config import read; read({path!r}); {said}"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert run.stdout == f"{is_there}\n"


def test_where_there_is_no_process_to_be_had_it_is_parsed_here(written, monkeypatch):
    def fork():
        raise BlockingIOError

    monkeypatch.setattr("os.fork", fork)
    assert read(written("idle = 5  # screen")) == {"idle": 5.0}


def test_a_date_is_no_value_of_any_option(written):
    with pytest.raises(ConfigError, match=r"idle: .*2026"):
        read(written("idle = 2026-01-01  # screen"))


# ### What was parsed at the wake before


@pytest.fixture
def environ(tmp_path):
    directory = tmp_path / "cache"
    directory.mkdir()
    return {"CACHE_DIRECTORY": str(directory)}


@pytest.fixture
def parses(monkeypatch):
    """How often a file was parsed."""
    parsed, count = config._parsed, []
    monkeypatch.setattr(config, "_parsed", lambda content: (count.append(content), parsed(content))[1])
    return count


def test_a_file_that_has_not_changed_is_not_parsed_again(written, environ, parses):
    path = written("idle = 5\n[environment]\nA = 1")
    assert [read(path, environ=environ) for _ in range(3)] == [{"idle": 5.0, "environment": {"A": "1"}}] * 3
    assert len(parses) == 1


def test_a_file_that_has_changed_is_parsed_anew_whatever_its_clock_says(written, environ, parses):
    path = written("idle = 5")
    before = Path(path).stat()
    assert read(path, environ=environ) == {"idle": 5.0}
    written("idle = 6")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert read(path, environ=environ) == {"idle": 6.0}
    assert len(parses) == 2


def test_a_value_is_checked_at_each_wake(written, environ):
    """By the table of this version: what an older one has let through may be refused by now."""
    path = written("workers = 0")
    for _ in range(2):
        with pytest.raises(ConfigError, match="workers: 0 is not a whole number"):
            read(path, environ=environ)


def test_without_a_cache_directory_each_wake_parses(written, parses):
    path = written("idle = 5")
    assert [read(path, environ={}) for _ in range(2)] == [{"idle": 5.0}] * 2
    assert len(parses) == 2


@pytest.mark.parametrize("kept", [b"", b"nonsense", marshal.dumps(5), marshal.dumps((1, 2, 3)), "half", "odd"])
def test_what_is_not_kept_whole_is_parsed_anew(written, environ, kept):
    content = "idle = 5"
    odd = {"half": marshal.dumps((content, {"idle": 7}))[:-3], "odd": marshal.dumps((content, 7))}
    Path(environ["CACHE_DIRECTORY"], "config").write_bytes(odd.get(kept, kept))
    assert read(written(content), environ=environ) == {"idle": 5.0}
    assert read(written(content), environ=environ) == {"idle": 5.0}


def test_a_date_is_no_value_of_any_option_with_a_cache_directory_either(written, environ):
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"idle: .*2026"):
            read(written("idle = 2026-01-01"), environ=environ)
