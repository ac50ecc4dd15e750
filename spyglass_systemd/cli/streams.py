"""The standard streams while a verb runs: none is closed, a stdout that takes nothing is an error. Knows no verb."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, TypeVar

from spyglass_systemd.words.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, TextIO

_T = TypeVar("_T")


class Output:
    """Standard output. Raises OutputError where it cannot be written, BrokenPipeError where nobody reads any more."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._failed: OutputError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """As of any stream."""
        return self._tried(lambda: self._stream.write(text))

    def flush(self) -> None:
        """As of any stream. Raises what went wrong before as well: who wrote may have passed it over, as click does."""
        if self._failed:
            raise self._failed
        self._tried(self._stream.flush)

    def _tried(self, act: Callable[[], _T]) -> _T:
        try:
            return act()
        except BrokenPipeError:
            raise
        except OSError as error:
            silence()
            self._failed = OutputError(f"standard output cannot be written: {error.strerror}")
            raise self._failed from None


@contextlib.contextmanager
def mended() -> Iterator[None]:
    """While a verb runs. At its end, what it has written is out, or an error says that it is not."""
    _open()
    stream = sys.stdout
    sys.stdout = output = Output(stream)
    try:
        yield
        output.flush()
    finally:
        sys.stdout = stream


def silence() -> None:
    """Whatever is still to be written goes nowhere, or Python tries once more at its end, and complains."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)


# ### What takes the place of a stream that is closed?
# Something that has its number, or the next file that is opened gets it, and with it what was meant for the stream.
# From standard input nothing comes. A standard output that takes nothing is to be noticed, so it is opened to be read.


def _open() -> None:
    if sys.stdin is None:
        sys.stdin = os.fdopen(os.open(os.devnull, os.O_RDONLY), "r")
    if sys.stdout is None:
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_RDONLY), "w")
    if sys.stderr is None:
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
