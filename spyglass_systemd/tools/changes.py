"""Files that become others all together, or stay as they are. Knows not what they say."""

from __future__ import annotations

import contextlib
import difflib
import os
import tempfile
from typing import TYPE_CHECKING

from spyglass_systemd.words.errors import WriteError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Change:
    """What files are to say, by their paths; None: not to be there. `undo` brings back what was there before."""

    def __init__(self, texts: Mapping[Path, str | None]) -> None:
        self._before = {path: _read(path) for path in texts}
        self.texts = {path: text for path, text in texts.items() if text != self._before[path]}

    def __bool__(self) -> bool:
        return bool(self.texts)

    def diff(self) -> str:
        """What would change, as `diff -u` shows it."""
        parts: list[str] = []
        for path, text in self.texts.items():
            old, new = self._before[path], text
            was, becomes = (os.devnull if side is None else str(path) for side in (old, new))
            parts += difflib.unified_diff((old or "").splitlines(True), (new or "").splitlines(True), was, becomes)
        return "".join(parts)

    def apply(self) -> None:
        """Write them. Raises WriteError; then none is changed."""
        try:
            for path, text in self.texts.items():
                _settle(path, text)
        except WriteError:
            self.undo()
            raise

    def undo(self) -> None:
        """Write back what was there."""
        for path in self.texts:
            _settle(path, self._before[path])


def write(path: Path, text: str, *, over: bool = True, mode: int = 0o644) -> None:
    """Write a whole file or none.

    Raises WriteError where that cannot be, and FileExistsError where it is there and not to be written `over`.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, text, mode, over=over)
    except OSError as error:
        if isinstance(error, FileExistsError) and error.filename2 == str(path):
            raise
        raise WriteError(
            f"{path} cannot be written: {error.strerror}", hint="is its directory one, writable, and is there room?"
        ) from None


def _write(path: Path, text: str, mode: int, *, over: bool) -> None:
    fd, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(fd)
        os.chmod(draft, mode)
        if over:
            os.replace(draft, path)
        else:
            os.link(draft, str(path))
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft)


def _settle(path: Path, text: str | None) -> None:
    if text is not None:
        write(path, text)
        return
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        path.unlink()
    with contextlib.suppress(OSError):  # somebody else's files are in it
        path.parent.rmdir()


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
