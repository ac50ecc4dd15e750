"""Which kind of app each listener led to when it last worked, kept where no sleep ends it. Raises nothing.

For a day on which the app cannot be loaded: a client of a raw app would not understand a 503.
"""

from __future__ import annotations

import os
import stat

from spyglass_systemd.words.lines import one_line
from spyglass_systemd.words.values import KINDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME = "kinds"
_LIMIT = 16 * 1024  # bytes of the file
_LABEL_LIMIT = 200  # bytes of a listener's name, or of its address

# ### Why in the cache directory?
# The runtime directory is gone when the app sleeps. The state directory is the app's, often with the app in it, and is
# what people back up. This is neither: whoever deletes it (`systemctl clean --what=cache`) loses a hint. Where there is
# no such directory nothing is kept; then a 503 is for what looks like a request, and the rest is closed, which is right
# for all but a raw app whose clients wait to be spoken to.
#
# ### Whose word is it?
# The app may write there as well. So it is read as anything from outside: a plain file, bounded, known words only.


def recall(environ: Mapping[str, str]) -> dict[str, str]:
    """The kinds by their listeners' keys, as they were kept; none where there is nothing to be read."""
    try:
        fd = os.open(_path(environ), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return {}
    try:
        data = os.read(fd, _LIMIT) if stat.S_ISREG(os.fstat(fd).st_mode) else b""
    except OSError:
        data = b""
    finally:
        os.close(fd)
    lines = (line.partition(" ") for line in data.decode("utf-8", "replace").split("\n"))
    return {key: kind for kind, _, key in lines if kind in KINDS and key}


def keep(environ: Mapping[str, str], kinds: Mapping[str, str]) -> None:
    """Keep the kinds by their listeners' keys. Writes only what is new."""
    path = _path(environ)
    if not path or recall(environ) == kinds:
        return
    beside = f"{path}.{os.getpid()}"
    data = "".join(f"{kind} {key}\n" for key, kind in kinds.items()).encode()
    try:
        fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        try:
            os.write(fd, data)
        finally:
            os.close(fd)
        os.rename(beside, path)
    except OSError:  # full, read-only: it was a hint
        return


def key(label: str) -> str:
    """Under what is kept what a listener of this label leads to."""
    return one_line(label, _LABEL_LIMIT)


def _path(environ: Mapping[str, str]) -> str:
    directory = environ.get("CACHE_DIRECTORY", "").partition(":")[0]
    return f"{directory}/{_NAME}" if directory else ""
