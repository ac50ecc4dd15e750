"""wsgi.file_wrapper of PEP 3333: a file as a response, which the kernel may send by itself. Knows no connection."""

from __future__ import annotations

import io
import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Self

# Only of these is it certain that the bytes of the descriptor are the bytes of the file: a GzipFile has a `fileno` too.
_PLAIN = (io.FileIO, io.BufferedReader, io.BufferedRandom)


class FileWrapper:
    """Iterates over a file in blocks, for those who do not look inside."""

    def __init__(self, filelike: Any, block_size: int = 64 * 1024) -> None:
        self.filelike = filelike
        self.block_size = block_size
        if hasattr(filelike, "close"):
            self.close: Callable[[], None] = filelike.close

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        data: bytes = self.filelike.read(self.block_size)
        if data:
            return data
        raise StopIteration

    def stretch(self) -> tuple[int, int, int] | None:
        """Descriptor, offset and count of what is left of the file, where sendfile(2) can send it."""
        plain = self.filelike
        if type(plain).__name__ == "_TemporaryFileWrapper":
            plain = plain.file
        if type(plain) not in _PLAIN:
            return None
        fd = plain.fileno()
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or not status.st_size:  # files of /proc have no size, and content
            return None
        offset = plain.tell()
        return fd, offset, max(0, status.st_size - offset)
