"""Whether a user gets to a file, by the permissions of everything on the way to it. Asks the file system, nobody else.

The kernel has the last word (access control lists, other security modules): `spyglass check` is run by it.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass

READ, ENTER = 4, 1
EXECUTE = 1
_HOMES = ("/home", "/root", "/run/user")  # what ProtectHome= hides, systemd.exec(5)


@dataclass(frozen=True)
class Who:
    """A user. `uid` is None for one who does not exist yet (DynamicUser=): he owns nothing and is in no group."""

    name: str
    uid: int | None = None
    gids: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Place:
    """One component of a path, as stat(2) has it. `listed`: it has an access control list beside its mode."""

    path: str
    mode: int
    uid: int
    gid: int
    listed: bool = False


def may(who: Who, place: Place, wanted: int) -> bool:
    """Whether the mode of `place` gives `who` the bits `wanted` (path_resolution(7)); a list is believed to."""
    if who.uid == 0 or place.listed:
        return True
    shift = 6 if place.uid == who.uid else 3 if place.gid in who.gids else 0
    return place.mode >> shift & wanted == wanted


def way(path: str) -> list[Place]:
    """Everything that is passed on the way to `path`, links and where they lead included. Ends where nothing is."""
    found: dict[str, Place] = {}
    for each in _both(path):
        parts = [part for part in each.split("/") if part]
        for count in range(len(parts) + 1):
            here = "/" + "/".join(parts[:count])
            try:
                seen = os.stat(here)
            except OSError:
                break
            found[here] = Place(here, seen.st_mode, seen.st_uid, seen.st_gid, _listed(here))
    return list(found.values())


def barrier(who: Who, path: str, wanted: int = READ) -> Place | None:
    """The first place that keeps `who` from `path`; None where nothing does, or where there is nothing.

    `wanted`: READ of a file, EXECUTE of a program, READ | ENTER of a folder.
    """
    end = os.path.realpath(path)
    for place in way(path):
        need = ENTER if stat.S_ISDIR(place.mode) and place.path != end else wanted
        if not may(who, place, need):
            return place
    return None


def hidden(path: str, protect_home: str) -> bool:
    """Whether ProtectHome= (as the unit says it) keeps a service from `path`."""
    below = any(f"{each}/".startswith(f"{home}/") for each in _both(path) for home in _HOMES)
    return below and protect_home.lower() not in {"", "no", "false", "off", "0", "read-only"}


def _both(path: str) -> tuple[str, str]:
    return os.path.abspath(path), os.path.realpath(path)


def _listed(path: str) -> bool:
    try:
        return "system.posix_acl_access" in os.listxattr(path)
    except OSError:
        return False
