"""Our finder and loader beside importlib's: whatever can be seen must be the same."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import py_compile
import sys
import sysconfig
import types
from pathlib import Path

import pytest

from spyglass_systemd.protocols import imports

DETAILS = (
    (importlib.machinery.ExtensionFileLoader, importlib.machinery.EXTENSION_SUFFIXES),
    (importlib.machinery.SourceFileLoader, importlib.machinery.SOURCE_SUFFIXES),
    (importlib.machinery.SourcelessFileLoader, importlib.machinery.BYTECODE_SUFFIXES),
)
FOLDERS = [sysconfig.get_path("stdlib"), sysconfig.get_path("purelib")]
EXTENSION = importlib.machinery.EXTENSION_SUFFIXES[0]


def finders(folder):
    return importlib.machinery.FileFinder(str(folder), *DETAILS), imports.Finder(str(folder), *DETAILS)


def seen(spec):
    if spec is None:
        return None
    loader = spec.loader
    kind = type(loader).__mro__[1] if isinstance(loader, imports.Loader) else type(loader)
    where = (spec.origin, spec.cached, spec.has_location, spec.submodule_search_locations, spec.parent)
    return spec.name, *where, kind, getattr(loader, "name", ""), getattr(loader, "path", "")


def assert_alike(folder, name):
    theirs, ours = finders(folder)
    assert seen(ours.find_spec(name)) == seen(theirs.find_spec(name))
    return ours.find_spec(name)


def packages(folder):
    for where, below, files in os.walk(folder):
        below[:] = [name for name in below if name.isidentifier() and name not in {"site-packages", "test", "tests"}]
        yield where, below, files


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_module_there_is_is_found_as_importlib_finds_it(folder):
    found = 0
    for where, below, files in packages(folder):
        theirs, ours = finders(where)
        for name in {file.partition(".")[0] for file in files} | {*below, "there_is_none"}:
            spec = ours.find_spec(f"some.where.{name}")
            assert seen(spec) == seen(theirs.find_spec(f"some.where.{name}"))
            found += spec is not None
    assert found > 500


def test_the_code_is_the_same_as_importlib_loads():
    theirs, ours = finders(FOLDERS[0])
    for path in sorted(Path(FOLDERS[0]).glob("[a-e]*.py")):
        mine = ours.find_spec(path.stem).loader.get_code(path.stem)
        assert mine == theirs.find_spec(path.stem).loader.get_code(path.stem)
        assert mine.co_filename == str(path)


def module(folder, text="value = 1\n", name="mod"):
    path = folder / f"{name}.py"
    path.write_text(text)
    return path


def value(folder, name="mod"):
    """What the module has to say, loaded by our loader."""
    spec = finders(folder)[1].find_spec(name)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made.value


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: (folder / "mod").mkdir(),  # a namespace package
        lambda folder: [(folder / "mod").mkdir(), module(folder / "mod", name="__init__")],
        lambda folder: [(folder / "mod").mkdir(), module(folder)],  # a module beside a folder of its name
        lambda folder: (folder / "mod.py").mkdir(),
        lambda folder: (folder / "mod.py").symlink_to(folder / "absent"),
        lambda folder: [module(folder), (folder / f"mod{EXTENSION}").touch()],
        lambda folder: (
            [(folder / "mod").mkdir(), module(folder / "mod", name="__init__")]
            and (folder / "mod" / f"__init__{EXTENSION}").touch()
        ),
        lambda folder: [(folder / "mod").mkdir(), (folder / "mod" / "__init__.py").mkdir()],
        lambda folder: py_compile.compile(str(module(folder)), cfile=str(folder / "mod.pyc")),
        lambda folder: [py_compile.compile(str(module(folder)), str(folder / "mod.pyc")), (folder / "mod.py").unlink()],
        lambda folder: (folder / "mod.txt").touch(),
        lambda folder: (folder / "mod").touch(),
        lambda folder: folder.rmdir(),
    ],
)
@pytest.mark.parametrize("slash", ["", "/"])
def test_what_is_not_common_is_found_as_importlib_finds_it(tmp_path, make, slash):
    folder = tmp_path / "folder"
    folder.mkdir()
    make(folder)
    assert_alike(f"{folder}{slash}", "mod")


def test_a_relative_folder_is_one_of_the_working_directory(tmp_path, monkeypatch):
    module(tmp_path)
    monkeypatch.chdir(tmp_path)
    for folder in ("", "."):
        assert assert_alike(folder, "mod").origin == str(tmp_path / "mod.py")


def test_a_source_without_bytecode_is_compiled_and_the_bytecode_kept(tmp_path):
    path = module(tmp_path)
    assert value(tmp_path) == 1
    assert Path(importlib.util.cache_from_source(path)).exists() is not sys.dont_write_bytecode


@pytest.mark.parametrize("when", [1, -1])
def test_a_source_that_is_newer_or_older_than_its_bytecode_counts(tmp_path, when):
    path = module(tmp_path)
    py_compile.compile(str(path))
    time = path.stat().st_mtime
    path.write_text("value = 2\n")
    os.utime(path, (time + when, time + when))
    assert value(tmp_path) == 2


def test_a_source_of_another_size_counts(tmp_path):
    path = module(tmp_path)
    py_compile.compile(str(path))
    time = path.stat().st_mtime_ns
    path.write_text("value = 23\n")
    os.utime(path, ns=(time, time))
    assert value(tmp_path) == 23


def test_bytecode_that_goes_by_the_sources_hash_is_checked_so(tmp_path):
    path = module(tmp_path)
    py_compile.compile(str(path), invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH)
    assert value(tmp_path) == 1
    path.write_text("value = 2\n")
    assert value(tmp_path) == 2


@pytest.mark.parametrize("kept", [0, 5, 16, 40])
def test_bytecode_that_was_cut_off_is_what_it_is_to_importlib(tmp_path, kept):
    bytecode = Path(py_compile.compile(str(module(tmp_path))))
    bytecode.write_bytes(bytecode.read_bytes()[:kept])
    results = []
    for finder in finders(tmp_path)[::-1]:  # ours first: importlib's mends what it can
        try:
            results.append(finder.find_spec("mod").loader.get_code("mod"))
        except EOFError as error:
            results.append(str(error))
    assert results[0] == results[1]


def test_a_tree_that_was_moved_tells_where_it_is_now(tmp_path):
    old = tmp_path / "old"
    old.mkdir()
    py_compile.compile(str(module(old, "def value(): pass\n")))
    old.rename(tmp_path / "new")
    assert value(tmp_path / "new").__code__.co_filename == str(tmp_path / "new" / "mod.py")


def test_a_module_that_was_added_is_found(tmp_path):
    finder = finders(tmp_path)[1]
    assert finder.find_spec("mod") is None
    module(tmp_path)
    os.utime(tmp_path, ns=(1, 1))  # whatever the clock's resolution
    assert finder.find_spec("mod").origin == str(tmp_path / "mod.py")


def test_what_was_listed_is_forgotten_on_demand(tmp_path):
    finder = finders(tmp_path)[1]
    assert finder.find_spec("mod") is None
    time = tmp_path.stat().st_mtime_ns
    module(tmp_path)
    os.utime(tmp_path, ns=(time, time))
    assert finder.find_spec("mod") is None
    finder.invalidate_caches()
    assert finder.find_spec("mod") is not None


# ### install


@pytest.fixture
def hooks(monkeypatch):
    standard = importlib.machinery.FileFinder.path_hook(*DETAILS)
    monkeypatch.setattr(sys, "path_hooks", [str, standard, repr])
    monkeypatch.setattr(sys, "path_importer_cache", {"/": None})
    return sys.path_hooks


def test_only_importlibs_finder_is_replaced_and_only_once(hooks):
    imports.install()
    assert hooks[::2] == [str, repr]
    assert isinstance(hooks[1](FOLDERS[0]), imports.Finder)
    assert sys.path_importer_cache == {}
    sys.path_importer_cache["/"] = None
    imports.install()
    assert sys.path_importer_cache == {"/": None}


def test_where_importlibs_finder_is_not_there_nothing_is_replaced(hooks):
    del hooks[1]
    imports.install()
    assert hooks == [str, repr]


def test_bytecode_at_another_place_is_left_to_importlib(hooks, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path))
    before = list(hooks)
    imports.install()
    assert hooks == before


def test_optimized_bytecode_is_left_to_importlib(hooks, monkeypatch):
    before = list(hooks)
    monkeypatch.setattr(imports, "sys", types.SimpleNamespace(flags=types.SimpleNamespace(optimize=1)))
    imports.install()
    assert hooks == before
