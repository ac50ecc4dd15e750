"""One number for all files of an app: the same while nothing changes, another one when anything of it does."""

from __future__ import annotations

import sys

import pytest

from spyglass_systemd.protocols import tree
from spyglass_systemd.words.options import Settings


def look(*folders, single=(), entries=tree.ENTRIES):
    """A whole survey, and how many portions it took."""
    survey, portions = tree.survey([str(folder) for folder in folders], [str(path) for path in single], entries), 1
    while True:
        try:
            next(survey)
            portions += 1
        except StopIteration as end:
            return end.value, portions


def mark(*folders, **more):
    return look(*folders, **more)[0].mark


@pytest.fixture
def app(tmp_path):
    """A small app in `current`, which leads to `release1`; `release2` is the same."""
    for number in (1, 2):
        package = tmp_path / f"release{number}" / "blog"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("app = 1\n")
        (package / "models.py").write_text("x = 1\n")
        (package / "blog.db").write_text("data")
    (tmp_path / "current").symlink_to("release1")
    return tmp_path / "current"


def write(path, text):
    """As an editor that writes into the file; what is changed and looked at within one tick of the clock has a size."""
    path.write_text(text)


def rename(path, text):
    """As an editor that writes beside it."""
    new = path.with_name(path.name + ".new")
    new.write_text(text)
    new.rename(path)


@pytest.mark.parametrize("how", [write, rename])
@pytest.mark.parametrize("name", ["blog/models.py", "blog/new.py", "settings.toml", ".env", "blog/_fast.so"])
def test_a_file_that_is_changed_or_comes_is_a_change(app, how, name):
    before = mark(app)
    assert mark(app) == before
    how(app / name, "x = 2 # more\n")
    after = look(app)[0]
    assert after.mark != before
    assert after.newest == str(app / name)
    assert mark(app) == after.mark


def test_one_that_goes_is_a_change_and_one_that_comes_back_is_another(app):
    before = mark(app)
    (app / "blog" / "models.py").unlink()
    without = mark(app)
    (app / "blog" / "models.py").write_text("x = 1\n")
    assert len({before, without, mark(app)}) == 3


def test_a_permission_is_a_change(app):
    before = mark(app)
    (app / "blog" / "models.py").chmod(0o600)
    assert mark(app) != before


def test_a_link_that_leads_elsewhere_is_a_change(app):
    before = mark(app)
    app.unlink()
    app.symlink_to("release2")
    assert mark(app) != before
    app.unlink()
    assert mark(app) not in {before, mark(app.parent)}


def test_a_link_in_the_tree_counts_and_is_not_followed_into_a_folder(app, tmp_path):
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "site.py").write_text("a = 1")
    (app / "shared").symlink_to(tmp_path / "shared")
    (app / "loop").symlink_to(".")
    (app / "site.py").symlink_to("shared/site.py")
    (app / "gone.py").symlink_to("nowhere")
    before = mark(app)
    (tmp_path / "shared" / "other.py").write_text("b = 1")
    assert mark(app) == before
    (tmp_path / "shared" / "site.py").write_text("a = 10")
    after = mark(app)
    assert after != before
    (app / "shared").unlink()
    (app / "shared").symlink_to(tmp_path)
    assert mark(app) != after


@pytest.mark.parametrize(
    "name",
    [
        "blog/blog.db",
        "upload.jpg",
        "blog/__pycache__/models.cpython-311.pyc",
        "blog/__pycache__/models.py",
        ".git/hook.py",
        ".hidden.py",
        "node_modules/x.py",
        "venv/lib/site.py",
    ],
)
def test_what_an_app_or_a_tool_writes_is_none(app, name):
    (app / "venv").mkdir()
    (app / "venv" / "pyvenv.cfg").touch()
    before = mark(app)
    (app / name).parent.mkdir(exist_ok=True, parents=True)
    (app / name).write_text("something else")
    assert mark(app) == before


def test_single_places_count_by_themselves_there_or_not(app, tmp_path):
    config, packages = tmp_path / "blog.toml", tmp_path / "site-packages"
    packages.mkdir()
    marks = [mark(app, single=[config, packages])]
    config.write_text("idle = 3")
    marks.append(mark(app, single=[config, packages]))
    (packages / "flask").mkdir()
    marks.append(mark(app, single=[config, packages]))
    assert len({*marks}) == 3


def test_a_folder_twice_is_not_none(app):
    before = mark(app, app)
    (app / "blog" / "models.py").write_text("x = 22")
    assert mark(app, app) != before


def test_a_folder_that_may_not_be_read_is_passed_over(app, monkeypatch):
    def refused(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(tree.os, "scandir", refused)
    assert look(app)[0].seen == 0


def test_a_large_tree_is_looked_at_in_portions_and_to_an_end(tmp_path):
    for number in range(30):
        folder = tmp_path / f"d{number}"
        folder.mkdir()
        for name in range(100):
            (folder / f"m{name}.py").touch()
    sight, portions = look(tmp_path)
    assert sight.seen == 3030
    assert 4 <= portions <= 6
    sight, portions = look(tmp_path, entries=700)
    assert sight.seen == 701
    assert portions == 2


def test_the_places_are_those_of_the_settings_as_they_are_written(app, monkeypatch):
    monkeypatch.chdir(app.parent)
    monkeypatch.setattr(sys, "path", ["", "/usr/lib/python3", str(app / "lib")])
    settings = Settings(app="blog:app", chdir="current", pythonpath=("lib", "../other", "lib"), config="blog.toml")
    assert tree.places(settings) == (
        (str(app), str(app / "lib"), str(app.parent / "other")),
        (str(app.parent / "blog.toml"), "/usr/lib/python3"),
    )


def test_nobody_looks_at_a_whole_machine(monkeypatch):
    monkeypatch.chdir("/")
    folders, _ = tree.places(Settings(app="blog:app"))
    assert folders == ()
