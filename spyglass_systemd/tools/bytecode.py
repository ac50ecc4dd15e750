"""Byte code of an app's own modules: which of it is missing or stale, and how it is made. Runs nothing of the app.

A wake without it compiles every module anew, because the sandbox forbids the app to write beside its source.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from spyglass_systemd.tools import owner
from spyglass_systemd.tools.foreign import first

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spyglass_systemd.tools.interpreter import Interpreter

_MOST = 20_000  # files that we look at
_SKIPPED = {"__pycache__", "node_modules"}
_HEAD = 16  # PEP 552: magic number, flags, time and size of the source


def stale(directory: str, version: str) -> list[str]:
    """The sources below `directory` without current byte code of CPython `version` ("3.11").

    Hidden folders and virtual environments are left out: pip compiles what it installs.
    """
    found: list[str] = []
    if not version:
        return found
    looked = 0
    for folder, folders, names in os.walk(directory):
        if "pyvenv.cfg" in names and folder != directory:
            folders.clear()
            continue
        folders[:] = sorted(each for each in folders if not each.startswith(".") and each not in _SKIPPED)
        for name in sorted(names):
            if name.endswith(".py"):
                looked += 1
                if not _current(folder, name, version.replace(".", "")):
                    found.append(f"{folder}/{name}")
        if looked > _MOST:
            break
    return found


def _current(folder: str, name: str, tag: str) -> bool:
    try:
        source = os.lstat(f"{folder}/{name}")
    except OSError:
        return False
    head = first(f"{folder}/__pycache__/{name[:-3]}.cpython-{tag}.pyc", _HEAD, follow=False)
    if len(head) < _HEAD:
        return False
    checked = head[4:8] != bytes(4)  # by its hash, or not at all
    when, size = int(source.st_mtime) & 0xFFFFFFFF, source.st_size & 0xFFFFFFFF
    return checked or head[8:] == when.to_bytes(4, "little") + size.to_bytes(4, "little")


def refresh(directories: Iterable[str], python: Interpreter) -> Iterator[str]:
    """Make what is missing in these directories; what a person should know of it."""
    for directory in directories:
        sources = [] if read_only(directory) else stale(directory, python.version)
        trouble = compile_all(directory, sources, python) if sources else ""
        if trouble:
            yield f"byte code of {directory} could not be made, so each wake compiles what it imports of it: {trouble}"


def read_only(directory: str) -> bool:
    """Whether nobody can write there: byte code has to be kept in another place (`-X pycache_prefix`)."""
    return bool(os.statvfs(directory).f_flag & os.ST_RDONLY)


def compile_all(directory: str, sources: list[str], python: Interpreter) -> str:
    """Make it, as the owner of `directory` and with nothing but the interpreter; what went wrong, "" for nothing.

    A source that is no Python of this version stays without.
    """
    words = [python.target, "-I", "-S", "-m", "compileall", "-q", "-q", "-i", "-"]
    done = owner.run(directory, words, stdin="\n".join(sources) + "\n")
    left = stale(directory, python.version)
    return "" if len(left) < len(sources) or not sources else done.stderr.strip() or "nothing was written"
