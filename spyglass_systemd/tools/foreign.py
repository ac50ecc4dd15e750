"""Files that an app owns, read by somebody who may be root. Believes nothing of them and knows no format."""

from __future__ import annotations

import errno
import os
import stat

from spyglass_systemd.words.errors import SpyglassError

# ### How may a file fool its reader?
# The app owns its runtime directory: it may put anything there under any name, and change it at any moment. A symlink
# to /etc/shadow: the last step is O_NOFOLLOW, and the steps before it are root's directories. A FIFO on which open(2)
# waits for ever: O_NONBLOCK. A file of somebody else, linked here: it must be the directory's owner's, with one name.
# One that is huge, or grows while it is read: so many bytes are read and no more. One that shrinks under a mapping is
# SIGBUS: it is copied, never mapped. All is asked of the open descriptor, and nothing of the name.


class ForeignError(SpyglassError):
    """Why a file of an app is not read."""


def read(directory: str, name: str, limit: int) -> bytes:
    """The bytes of the file `name` in an app's `directory`.

    Raises FileNotFoundError where there is none, ForeignError where it is more than `limit` or not what it should be.
    """
    path = f"{directory}/{name}"
    try:
        home = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, dir_fd=home)
            try:
                _check(path, os.fstat(fd), os.fstat(home).st_uid, limit)
                data = _copy(fd, limit)
            finally:
                os.close(fd)
        finally:
            os.close(home)
    except FileNotFoundError:
        raise
    except OSError as error:  # ELOOP: a symlink. ENXIO: a socket
        raise ForeignError(f"{path} cannot be read: {error.strerror}", hint=_hint(error)) from None
    if len(data) > limit:
        raise ForeignError(f"{path} has more than {limit} bytes, and grows")
    return data


def first(path: str, size: int, *, follow: bool = True) -> bytes:
    """The first bytes of a regular file, wherever it is; nothing of anything else. `follow`: `path` may be a link."""
    link = 0 if follow else os.O_NOFOLLOW
    try:
        fd = os.open(path, os.O_RDONLY | link | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(fd, size) if stat.S_ISREG(os.fstat(fd).st_mode) else b""
    finally:
        os.close(fd)


def _check(path: str, found: os.stat_result, owner: int, limit: int) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise ForeignError(f"{path} is no regular file")
    if found.st_uid != owner:
        raise ForeignError(f"{path} belongs to user {found.st_uid}, and its directory to {owner}")
    if found.st_nlink > 1:
        raise ForeignError(f"{path} has {found.st_nlink} names")
    if found.st_size > limit:
        raise ForeignError(f"{path} has {found.st_size} bytes, more than {limit}")


def _copy(fd: int, limit: int) -> bytes:
    """The bytes, and one more where there are more than `limit`: pread(2) may give less than it is asked for."""
    data = b""
    while len(data) <= limit and (part := os.pread(fd, limit + 1 - len(data), len(data))):
        data += part
    return data


def _hint(error: OSError) -> str:
    return "root may, and the app's own user" if error.errno == errno.EACCES else ""
