"""Who an app runs as, and what that user may read of what the app is made of. Runs nothing of the app's."""

from __future__ import annotations

import grp
import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spyglass_systemd.words.errors import ConfigError
from spyglass_systemd.words.listener import AF_UNIX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spyglass_systemd.tools.wanted import Wanted

_DYNAMIC = 61184  # the first that DynamicUser= gives, systemd.exec(5): nobody has files of it
_HOME_OF_ROOT = Path("/root")
_LINGER = Path("/var/lib/systemd/linger")
_HIDDEN = ("/tmp", "/var/tmp", "/run/user", "/dev", "/proc", "/sys")  # noqa: S108  # by PrivateTmp= and its like


@dataclass(frozen=True)
class Account:
    """A user as the kernel sees one."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]

    def passes(self, test: str, path: Path) -> bool:
        """Whether `test -r`, `-x` ... of this user says yes: the kernel's word, access control lists and all."""
        flags = [word for letter in test for word in (f"-{letter}", str(path), "-a")][:-1]
        command = ["test", *flags]
        if self.uid == os.getuid():
            return not subprocess.run(command, check=False).returncode
        other = subprocess.run(command, check=False, user=self.uid, group=self.gid, extra_groups=self.groups)
        return not other.returncode


def account(wanted: Wanted) -> Account:
    """Who the app runs as. Raises ConfigError where there is no such user."""
    if wanted.site.places.user:
        return Account("you", os.getuid(), os.getgid(), tuple(os.getgroups()))
    if not wanted.user:
        return Account(f"the app's own user spyglass-{wanted.site.name}", _DYNAMIC, _DYNAMIC, ())
    try:
        found = pwd.getpwnam(wanted.user)
    except KeyError:
        raise ConfigError(
            f"{wanted.site.config}: user = {wanted.user}: there is no such user",
            hint=f"`adduser --system --group {wanted.user}` makes one; without user= the app gets one of its own",
        ) from None
    return Account(wanted.user, found.pw_uid, found.pw_gid, tuple(os.getgrouplist(wanted.user, found.pw_gid)))


def exist(wanted: Wanted) -> Iterator[str]:
    """A check: the user is there, and the group that may connect."""
    account(wanted)
    is_unix = not wanted.listen or any(address.family == AF_UNIX for address in wanted.listen)
    if is_unix and not wanted.site.places.user:
        try:
            grp.getgrnam(wanted.socket_group)
        except KeyError:
            raise ConfigError(
                f"{wanted.site.config}: socket_group = {wanted.socket_group}: there is no such group",
                hint="name the group of the web server in front: www-data on Debian, caddy for Caddy",
            ) from None
    yield from ()


def may_read(wanted: Wanted) -> Iterator[str]:
    """A check: the app's directories are there, not hidden by the sandbox, and that user may read them."""
    chdir = wanted.settings.chdir
    if chdir != "." and not os.path.isabs(chdir):
        raise ConfigError(
            f"{wanted.site.config}: chdir = {chdir} is not a whole path",
            hint="a unit is started in no directory of yours: write chdir = " + f'"/srv/{wanted.site.name}"',
        )
    who = account(wanted)
    for path in map(Path, wanted.paths):
        test = "rx" if path.is_dir() else "r"
        if not path.exists():
            raise ConfigError(f"{wanted.site.config}: {path} is not there", hint="make it, or name another place")
        if not wanted.site.places.user and (hidden := next(filter(path.is_relative_to, _HIDDEN), None)):
            raise ConfigError(
                f"{wanted.site.config}: {path} is below {hidden}, and the unit has a {hidden} of its own",
                hint=f"move it, to /srv/{wanted.site.name}",
            )
        for above in reversed(path.parents):
            if not who.passes("x", above):
                raise _unreadable(wanted, who, "x", above)
        if not who.passes(test, path):
            raise _unreadable(wanted, who, test, path)
    yield from ()


def lingers(wanted: Wanted) -> Iterator[str]:
    """A check: a user's own manager runs while he is away."""
    name = _name(os.getuid())
    if wanted.site.places.user and not (_LINGER / name).exists():
        yield f"it listens while you are logged in; `loginctl enable-linger {name}` makes that always"


def _unreadable(wanted: Wanted, who: Account, test: str, path: Path) -> ConfigError:
    owner = _name(path.stat().st_uid)
    place = Path("/srv", wanted.site.name)
    cures = [f"`chmod o+{test} {path}`"] if path != _HOME_OF_ROOT else []  # what root keeps there is his
    if not wanted.site.places.user and owner not in {"root", wanted.user}:
        cures.append(f'user = "{owner}" in {wanted.site.config}')
    if not place.is_relative_to(path) and not path.is_relative_to(place):
        cures.append(f"a place that everybody may read, such as {place}")
    return ConfigError(f"{who.name} may not read {path}", hint=", or ".join(cures))


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
