"""What a check says of an app's Python, its secrets, and its trial in the sandbox; with the sandbox in our hands."""

from __future__ import annotations

import subprocess
from dataclasses import replace

import pytest

from spyglass_systemd.tools import importing, secrets, surroundings
from spyglass_systemd.tools.places import of_system
from spyglass_systemd.tools.wanted import Wanted
from spyglass_systemd.words.errors import AppError, ConfigError
from spyglass_systemd.words.options import Settings


@pytest.fixture
def places(tmp_path):
    found = {name: tmp_path / name for name in ("state", "cache", "logs")}
    for path in found.values():
        path.mkdir()
    return replace(of_system(), **found)


@pytest.fixture
def tried(places, monkeypatch):
    """What the check of the import says of a trial that ended so; `during` is done while it runs."""

    def tried(code=0, out="", err="", during=lambda: None):
        class Box:
            site, lines = places.site("blog"), ()

            def run(self, words, *, capture):
                assert capture
                assert words[-3:] == ["trial", "--config=/etc/spyglass/blog.toml", "--name=blog"]
                during()
                return subprocess.CompletedProcess(words, code, out, err)

        monkeypatch.setattr(surroundings, "sandbox_of", lambda _: Box())
        return list(importing.imports(wanted(places)))

    return tried


def wanted(places, **more):
    return Wanted(places.site("blog"), Settings(app="b:a", chdir="/"), "", "", "www-data", (), **more)


# ### The trial


def test_of_an_app_that_loads_only_what_deserves_a_look_is_told(tried):
    assert tried(out="blog: wsgi app, imported\n") == []
    assert tried(out="blog: wsgi app, imported\n  threads: x\n  Mind them.\n") == ["threads: x Mind them."]


def test_of_one_that_does_not_load_all_is_told_and_its_status_is_kept(tried):
    with pytest.raises(AppError) as caught:
        tried(69, err='noise\nTraceback:\n  File "x"\nspyglass: importing b: Error\n  try this\n')
    error = caught.value
    assert (error.message, error.hint, error.exit_code) == ("importing b: Error", "try this", 69)
    assert error.trace == 'noise\nTraceback:\n  File "x"'
    with pytest.raises(AppError) as caught:
        tried(78, err="spyglass: a key is wrong\n")
    assert caught.value.exit_code == 78


def test_what_an_app_says_moves_no_cursor(tried):
    with pytest.raises(AppError) as caught:
        tried(69, err="\x1b[2Jtrace\nspyglass: \x1b]0;x\x07\n")
    assert (caught.value.trace, caught.value.message) == ("\\x1b[2Jtrace", "\\x1b]0;x\\x07")


def test_a_sandbox_that_cannot_be_entered_is_no_fault_of_the_app(tried):
    with pytest.raises(ConfigError, match="the working directory cannot be entered"):
        tried(200)


@pytest.mark.parametrize(("code", "err"), [(1, "No module named spyglass_systemd"), (64, "spyglass: no verb 'trial'")])
def test_a_runtime_that_knows_no_trial_is_told_how_to_get_a_newer_one(tried, code, err):
    with pytest.raises(ConfigError, match="could not try the import") as caught:
        tried(code, err=err)
    assert "python3-spyglass-systemd" in caught.value.hint


def test_an_interpreter_that_says_nothing_has_not_tried(tried):
    with pytest.raises(ConfigError, match="could not try the import"):
        tried(0, out="")


def test_directories_that_a_trial_made_go_again_unless_something_is_in_them(tried, places):
    def during():
        (places.state / "private").mkdir()
        (places.state / "blog").symlink_to("private")
        (places.cache / "blog").mkdir()
        (places.cache / "blog/kept").touch()

    tried(out="blog\n", during=during)
    assert list(places.state.iterdir()) == []
    assert (places.cache / "blog/kept").exists()
    tried(out="blog\n")
    assert (places.cache / "blog/kept").exists()


# ### Around it


def test_the_python_of_an_app_is_first_on_the_path(places, tmp_path):
    (tmp_path / "venv/bin").mkdir(parents=True)
    (tmp_path / "venv/pyvenv.cfg").write_text("version = 3.12.1\n")
    (tmp_path / "venv/bin/python").write_bytes(b"\x7fELF")
    site = replace(wanted(places), python=str(tmp_path / "venv/bin/python"))
    site.settings.environment = {"A": "1"}
    found = surroundings.environment(site)
    assert found.pop("PATH").startswith(f"{tmp_path}/venv/bin:/usr/local/sbin:")
    assert found == {"VIRTUAL_ENV": f"{tmp_path}/venv", "A": "1"}
    assert surroundings.environment(wanted(places)) == {}


def test_a_directory_that_is_not_said_is_that_of_the_unit(places):
    site = wanted(places)
    site.settings.chdir = "."
    assert (surroundings.directory(site), surroundings.sources(site)) == ("", [])
    site.settings.chdir = "sub"
    assert surroundings.directory(site) == f"{places.state}/blog/sub"
    site.settings.chdir, site.settings.pythonpath = str(places.state), ("../cache", "../nothing", ".")
    assert surroundings.sources(site) == [str(places.state), str(places.cache)]


def test_byte_code_goes_to_the_cache_where_nobody_can_write_beside_the_source(places, monkeypatch):
    site = wanted(places)
    site.settings.chdir = str(places.state)
    monkeypatch.setattr(surroundings.bytecode, "read_only", lambda _: True)
    assert "-X" not in surroundings.program(site)
    (places.state / "b.py").touch()
    assert surroundings.program(site)[:2] == ("-X", f"pycache_prefix={places.cache}/blog/bytecode")
    assert list(surroundings.bytecode.refresh([str(places.state)], surroundings.look("/usr/bin/python3"))) == []
    monkeypatch.setattr(surroundings.bytecode, "read_only", lambda _: False)
    assert "-X" not in surroundings.program(site)


# ### Secrets


def test_secrets_are_lines_of_the_unit(places):
    site = wanted(places, credentials={"key": "/k 1"}, environment_files=("-/e",))
    assert secrets.lines(site) == [("LoadCredential", "key:/k 1"), ("EnvironmentFile", "-/e")]


def test_secrets_that_are_not_there_and_those_that_everybody_may_read_are_told(places, tmp_path):
    key = tmp_path / "key"
    with pytest.raises(ConfigError, match="No such file"):
        list(secrets.present(wanted(places, credentials={"key": str(key)})))
    assert list(secrets.present(wanted(places, environment_files=(f"-{key}",)))) == []
    key.touch(0o600)
    key.chmod(0o600)
    assert list(secrets.present(wanted(places, credentials={"key": str(key)}))) == []
    key.chmod(0o644)
    (remark,) = secrets.present(wanted(places, environment_files=(f"-{key}",)))
    assert f"chmod o= {key}" in remark


def test_a_python_of_ours_passes_its_check(places, monkeypatch):
    monkeypatch.setattr(importing.venvs, "judge", lambda found, kind, _, site: seen.append((found.path, kind, site)))
    seen = []
    assert list(importing.interpreter(wanted(places))) == []
    assert seen == [("/usr/bin/python3", "auto", "blog")]
