"""Which byte code is current, and who makes what is not."""

from __future__ import annotations

import os
import py_compile
import sys

import pytest

from spyglass_systemd.tools import bytecode, installing, owner
from spyglass_systemd.tools.interpreter import look
from spyglass_systemd.words.errors import ConfigError

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture
def tree(tmp_path):
    for name in ("blog.py", "views/index.py", ".git/hook.py", "node_modules/x.py", "venv/lib/y.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text("A = 1\n")
    (tmp_path / "venv/pyvenv.cfg").touch()
    return tmp_path


def stale(tree):
    return [os.path.relpath(path, tree) for path in bytecode.stale(str(tree), VERSION)]


def test_the_apps_own_modules_are_looked_at_and_nothing_else(tree):
    assert stale(tree) == ["blog.py", "views/index.py"]


def test_byte_code_is_current_while_its_source_is_what_it_was(tree):
    py_compile.compile(str(tree / "blog.py"))
    assert stale(tree) == ["views/index.py"]
    (tree / "blog.py").write_text("A = 1000\n")
    assert stale(tree) == ["blog.py", "views/index.py"]
    py_compile.compile(str(tree / "blog.py"), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    assert stale(tree) == ["views/index.py"]


def test_what_stands_in_its_place_is_not_waited_for(tree):
    (tree / "__pycache__").mkdir()
    os.mkfifo(tree / f"__pycache__/blog.{sys.implementation.cache_tag}.pyc")
    assert "blog.py" in stale(tree)


def test_it_is_made_for_what_can_be_compiled(tree, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)  # whoever is no root does it himself
    (tree / "views/index.py").write_text("no python(\n")
    sources = bytecode.stale(str(tree), VERSION)
    assert bytecode.compile_all(str(tree), sources, look(sys.executable)) == ""
    assert stale(tree) == ["views/index.py"]


def test_that_nothing_could_be_written_is_said(tree, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    (tree / "blog.py").write_text("no python(\n")
    assert bytecode.compile_all(str(tree), [str(tree / "blog.py")], look(sys.executable)) == "nothing was written"
    assert not bytecode.read_only(str(tree))


# ### As whom


def test_root_does_it_as_the_owner_who_can_write_there_only(tree, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    uid, gid = tree.stat().st_uid, tree.stat().st_gid
    command = owner.command(str(tree), ["/bin/sh", "$x"])
    assert command[0] == "systemd-run"
    assert command[-3:] == ["--", "/bin/sh", "$$x"]
    for each in (f"--uid={uid}", f"--gid={gid}", f"--property=ReadWritePaths={tree}", "--property=PrivateNetwork=yes"):
        assert each in command
    assert "--property=PrivateNetwork=no" in owner.command(str(tree), ["/bin/sh"], network=True)


def test_a_program_that_another_user_can_change_is_not_run_in_the_owners_name(tree, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    program = tree / "python"
    program.touch()
    if os.getuid() == 0:
        os.chown(program, 1234, 1234)
    else:
        program.chmod(0o777)
        monkeypatch.setattr(owner.os, "stat", lambda _: os.stat_result((0o100777, 0, 0, 0, 4321, 0, 0, 0, 0, 0)))
    with pytest.raises(ConfigError, match="can be changed by others"):
        owner.command(str(tree), [str(program)])


def test_whoever_is_no_root_does_it_himself(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert owner.command("/anywhere", ["/bin/true"]) == ["/bin/true"]


# ### Our runtime


def test_the_runtime_is_asked_for_in_our_version_with_our_wheel_at_hand(monkeypatch):
    monkeypatch.setattr(os.path, "isdir", lambda path: path == installing.WHEELS)
    online = installing.command("/v/bin/python", "asgi", ())
    assert online[-2:] == [f"--find-links={installing.WHEELS}", f"spyglass-systemd[asgi]=={installing.ours}"]
    assert "--no-index" not in online
    offline = installing.command("/v/bin/python", "wsgi", ["/mnt/wheels"])
    assert offline[-4:] == [
        "--no-index",
        f"--find-links={installing.WHEELS}",
        "--find-links=/mnt/wheels",
        f"spyglass-systemd=={installing.ours}",
    ]


def test_nothing_is_installed_outside_of_an_environment():
    with pytest.raises(ConfigError, match="not in a virtual environment"):
        installing.install("/usr/bin/python3", "wsgi")


def test_an_environment_without_pip_is_told_what_to_do(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "pyvenv.cfg").write_text("version = 3.12.1\n")
    (tmp_path / "bin/python3.12").write_bytes(b"\x7fELF")
    with pytest.raises(ConfigError, match="has no pip") as caught:
        installing.install(str(tmp_path / "bin/python3.12"), "wsgi")
    assert "uv pip install" in caught.value.hint
