"""Python's import of source files, the common case with half the work. Decides nothing that importlib would not.

Whatever is not the common case is left to importlib: `install` puts subclasses of its finder and its loader in their
place, and each of their methods that is not sure of itself calls the one that it overrides.
"""

from __future__ import annotations

import _imp
import marshal
import os
import stat
import sys

# The modules behind importlib.machinery and importlib.util, which cost six milliseconds more.
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import (
    BYTECODE_SUFFIXES,
    MAGIC_NUMBER,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    SourceFileLoader,
    SourcelessFileLoader,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, ModuleType

# ### What is there to save?
# The import of an app is nine tenths of a wake, and of that the search for its modules and their loading, in Python,
# about a tenth: for each of Flask's 220 modules importlib looks at every suffix there is, takes the source's path apart
# to make the bytecode's of it, and reads the bytecode through a buffer. Here the listing of the folder answers the
# first question, the second needs one f-string, the third two system calls: 6 ms of 120 for Flask's hello.
#
# ### What must stay as it is?
# Everything that can be seen. The order of suffixes and of the path; a source that is newer than its bytecode, or of
# another size; namespace packages; `__spec__`, `__file__`, `__cached__`; what a loader can do besides. A test compares
# it all with importlib's, for every module of the standard library and of what is installed.

_UNCHANGED = MAGIC_NUMBER + b"\0\0\0\0"  # PEP 552: magic number, no flags; then the source's time and size
_HEAD = 16
_EXTENSIONS = tuple(_imp.extension_suffixes())
_NO_SOURCE = (*_EXTENSIONS, *BYTECODE_SUFFIXES)
_STANDARD = "path_hook_for_FileFinder"  # the name of what FileFinder.path_hook makes


def install() -> None:
    """Let every folder on the import path be searched by `Finder` from now on.

    Does nothing where bytecode is kept in another place or is of another kind (-O, pycache_prefix), and where
    importlib's finder is not where Python puts it.
    """
    if sys.flags.optimize or sys.pycache_prefix or not sys.implementation.cache_tag:
        return
    names = [getattr(hook, "__name__", "") for hook in sys.path_hooks]
    if _hook not in sys.path_hooks and _STANDARD in names:
        sys.path_hooks[names.index(_STANDARD)] = _hook
        sys.path_importer_cache.clear()


class Loader(SourceFileLoader):
    """Loads a module whose bytecode is where it belongs and as old as the source."""

    def get_code(self, fullname: str) -> CodeType | None:
        """See importlib.abc.InspectLoader."""
        code = self._cached()
        # Outside of any `except`: what compiling raises is the app's, and has no error of ours in its context.
        return code if code is not None else super().get_code(fullname)

    def _cached(self) -> CodeType | None:
        folder, _, name = self.path.rpartition("/")
        try:
            source = os.stat(self.path)
            data = _contents(f"{folder}/__pycache__/{name[:-3]}.{sys.implementation.cache_tag}.pyc")
        except OSError:
            return None
        time, size = int(source.st_mtime) & 0xFFFFFFFF, source.st_size & 0xFFFFFFFF
        if data[:_HEAD] != _UNCHANGED + time.to_bytes(4, "little") + size.to_bytes(4, "little"):
            return None
        try:
            code: CodeType = marshal.loads(memoryview(data)[_HEAD:])  # noqa: S302  # what importlib does
            _imp._fix_co_filename(code, self.path)  # type: ignore[attr-defined]  # noqa: SLF001  # for a tree that was moved
        except (EOFError, TypeError, ValueError):  # cut off, or no code
            return None
        return code


class Finder(FileFinder):
    """Finds packages and modules of source in one folder."""

    def find_spec(self, fullname: str, target: ModuleType | None = None) -> ModuleSpec | None:
        """See importlib.abc.PathEntryFinder."""
        self._list()
        name = fullname.rpartition(".")[2]
        if name not in self._stems:
            return None
        spec = None
        if name not in self._odd:
            folder = self.path.rstrip("/")
            if name not in self._names:
                spec = _spec(fullname, f"{folder}/{name}.py", None)
            elif _is_package(folder := f"{folder}/{name}"):
                spec = _spec(fullname, f"{folder}/__init__.py", [folder])
        return spec or super().find_spec(fullname, target)

    def invalidate_caches(self) -> None:
        """See importlib.abc.PathEntryFinder."""
        self._time = -1.0
        super().invalidate_caches()

    _time = -1.0  # of the folder, when it was listed
    _names: frozenset[str] = frozenset()  # all that is in there
    _stems: frozenset[str] = frozenset()  # their names up to the first dot
    _odd: frozenset[str] = frozenset()  # those of them that may be something other than source

    def _list(self) -> None:
        try:
            time = os.stat(self.path).st_mtime
            if time == self._time:
                return
            names = os.listdir(self.path)
        except OSError:
            time, names = -1.0, []
        self._time, self._names = time, frozenset(names)
        self._stems = frozenset([name.partition(".")[0] for name in names])
        self._odd = frozenset([name.partition(".")[0] for name in names if name.endswith(_NO_SOURCE)])


_hook = Finder.path_hook(
    (ExtensionFileLoader, list(_EXTENSIONS)),
    (SourceFileLoader, SOURCE_SUFFIXES),
    (SourcelessFileLoader, BYTECODE_SUFFIXES),
)


def _is_package(folder: str) -> bool:
    """Whether it is one, and one of source: an extension module comes first."""
    try:
        names = os.listdir(folder)
    except OSError:  # no folder
        return False
    return "__init__.py" in names and not any(f"__init__{suffix}" in names for suffix in _EXTENSIONS)


def _spec(fullname: str, path: str, locations: list[str] | None) -> ModuleSpec | None:
    """What importlib.util.spec_from_file_location makes; None where the path is no file."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return None
    except OSError:
        return None
    spec = ModuleSpec(fullname, Loader(fullname, path), origin=path)
    spec.submodule_search_locations = locations
    spec.has_location = True
    return spec


def _contents(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, os.fstat(fd).st_size)
    finally:
        os.close(fd)
