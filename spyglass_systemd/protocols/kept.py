"""Small files in $CACHE_DIRECTORY, kept from one wake to the next. Raises nothing; knows nothing of what is in them."""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_LIMIT = 256 * 1024  # bytes of a file

# ### Why in the cache directory?
# The runtime directory is gone when the app sleeps. The state directory is the app's, often with the app in it, and is
# what people back up. This is neither: whoever deletes it (`systemctl clean --what=cache`) loses a hint.
#
# ### Whose word is it?
# The app may write there as well. So it is read as anything from outside: a plain file, bounded.


def recall(environ: Mapping[str, str], name: str) -> bytes:
    """What was kept under this name; nothing where there is nothing to be read."""
    path = _path(environ, name)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(fd, _LIMIT) if stat.S_ISREG(os.fstat(fd).st_mode) else b""
    except OSError:
        return b""
    finally:
        os.close(fd)


def keep(environ: Mapping[str, str], name: str, data: bytes) -> None:
    """Keep it, for this user alone. A reader has the old bytes or all of the new ones."""
    path = _path(environ, name)
    if not path or len(data) > _LIMIT:
        return
    beside = f"{path}.new"
    try:
        fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, data)
        finally:
            os.close(fd)
        os.rename(beside, path)
    except OSError:  # full, read-only: it was a hint
        return


def _path(environ: Mapping[str, str], name: str) -> str:
    directory = environ.get("CACHE_DIRECTORY", "").partition(":")[0]
    return f"{directory}/{name}" if directory else ""  # which is no file
