"""The files that an app is made of, as one number that is another one when any of them has changed. Decides nothing.

It looks at a part at a time, and at so many and no more.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from spyglass_systemd.words.options import Settings

ENTRIES = 20_000  # of folders: how many are looked at in one survey
_PORTION = 512  # of them at once, but a folder is read to its end
_SUFFIXES = (".py", ".so", ".toml", ".ini", ".cfg", ".yaml", ".yml", ".env")
_NOT_THE_APPS = ("__pycache__", "node_modules")
_MASK = 2**64 - 1

# ### What is a file of the app?
# What Python imports, and what one writes beside it by hand. Not what an app writes by itself, or every request would
# be a change: databases, uploads, logs, byte code. Nor an environment in the middle of the tree (it has a pyvenv.cfg);
# of the folders that packages are installed in only the folder itself counts, which changes when one comes or goes.
#
# ### And what is a change?
# Another file under the name (an editor writes beside the old one and renames), or the same with another time of
# change: nobody can set that one, unlike the time of modification, and it tells of a mended permission, too. The
# folders are taken as they are written, so that a deploy that lets a symbolic link lead elsewhere is a change of
# everything.


class Sight:
    """What a survey has seen: the `mark`, and which file was changed last, at `newest_ns` of the wall clock."""

    __slots__ = ("mark", "newest", "newest_ns", "seen")

    def __init__(self) -> None:
        self.mark = 0
        self.newest = ""
        self.newest_ns = 0
        self.seen = 0

    def note(self, path: str, found: os.stat_result | None) -> None:
        """`path` was looked at; None: there is nothing."""
        if found is None:
            self.add(path)
            return
        self.add(path, found.st_dev, found.st_ino, found.st_size, found.st_ctime_ns)
        if found.st_ctime_ns > self.newest_ns:
            self.newest, self.newest_ns = path, found.st_ctime_ns

    def add(self, *marks: str | int) -> None:
        """One thing more that counts, in whatever order they come."""
        self.mark = self.mark + hash(marks) & _MASK


def places(settings: Settings) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Where the files of an app lie: folders with all that is below them, and single files and folders."""
    directory = os.path.abspath(settings.chdir)
    below = [directory, *(os.path.normpath(os.path.join(directory, path)) for path in settings.pythonpath)]
    folders = tuple(path for path in dict.fromkeys(below) if path != "/")
    single = [os.path.abspath(settings.config)] if settings.config else []
    return folders, (*single, *(path for path in sys.path if path and path not in folders))


def survey(folders: Iterable[str], single: Iterable[str], entries: int = ENTRIES) -> Generator[None, None, Sight]:
    """Look at everything, folder by folder, those near the top first. Yields between two portions."""
    sight = Sight()
    for path in single:
        sight.note(path, _stat(path))
    waiting = list(folders)
    for path in waiting:
        found = _stat(path)
        sight.add(path, *((found.st_dev, found.st_ino) if found is not None else ()))  # its times tell of other files
    portion = sight.seen
    while waiting and sight.seen < entries:
        waiting += _look_into(waiting.pop(0), sight, entries)
        if sight.seen - portion >= _PORTION:
            portion = sight.seen
            yield
    return sight


def _look_into(folder: str, sight: Sight, entries: int) -> list[str]:
    """Note the files in one folder; the folders in it."""
    folders: list[str] = []
    try:
        with os.scandir(folder) as listing:
            for entry in listing:
                sight.seen += 1
                if sight.seen > entries:
                    break
                name = entry.name
                if name == "pyvenv.cfg":
                    return []
                if name in _NOT_THE_APPS or (name.startswith(".") and name != ".env"):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                    continue
                if entry.is_symlink():  # wherever it leads: that it leads there counts, and loops are not followed
                    sight.note(entry.path, _stat(entry.path, follow=False))
                if name.endswith(_SUFFIXES):
                    sight.note(entry.path, _stat(entry.path))
    except OSError:  # gone, or not for us
        return folders
    return folders


def _stat(path: str, *, follow: bool = True) -> os.stat_result | None:
    try:
        return os.stat(path, follow_symlinks=follow)
    except OSError:
        return None
