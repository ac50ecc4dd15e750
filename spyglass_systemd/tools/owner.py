"""Runs a program as whoever owns a directory, able to write there and nowhere else. Knows no app and no unit of ours.

For what is done to an app's files: its packages, its byte code. Root does nothing there that somebody else could turn
against it, and where the files are root's own it does it in the same sandbox.
"""

from __future__ import annotations

import os
import stat
import subprocess
from typing import TYPE_CHECKING

from spyglass_systemd.protocols import unitfile
from spyglass_systemd.words.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

_SANDBOX = (
    "NoNewPrivileges=yes",
    "CapabilityBoundingSet=",
    "ProtectSystem=strict",
    "ProtectHome=read-only",
    "PrivateTmp=yes",
    "PrivateDevices=yes",
    "ProtectKernelTunables=yes",
    "ProtectKernelModules=yes",
    "ProtectControlGroups=yes",
    "ProtectProc=invisible",
    "RestrictNamespaces=yes",
    "RestrictSUIDSGID=yes",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "SystemCallErrorNumber=EPERM",
    "UMask=0022",
)


def command(directory: str, words: Sequence[str], *, network: bool = False, reads: Sequence[str] = ()) -> list[str]:
    """What runs `words` as the owner of `directory`. Whoever is no root is taken for the owner, and runs them himself.

    `reads` are directories that they need, wherever those lie: they have a /tmp of their own.
    Raises ConfigError where that would let root run somebody else's program.
    """
    if os.geteuid():
        return list(words)
    seen = os.stat(directory)
    _check(os.path.realpath(words[0]), seen.st_uid, directory)
    properties = [*_SANDBOX, f"ReadWritePaths={directory}", f"PrivateNetwork={'no' if network else 'yes'}"]
    properties += [f"BindReadOnlyPaths={unitfile.word(each)}" for each in reads]
    return [
        *["systemd-run", "--quiet", "--collect", "--wait", "--pipe", f"--uid={seen.st_uid}", f"--gid={seen.st_gid}"],
        *[f"--property={each}" for each in properties],
        *["--", *(word.replace("$", "$$") for word in words)],
    ]


def run(
    directory: str, words: Sequence[str], *, network: bool = False, reads: Sequence[str] = (), stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run it to its end; what it says is captured."""
    return subprocess.run(
        command(directory, words, network=network, reads=reads),
        input=stdin,
        capture_output=True,
        text=True,
        errors="backslashreplace",
        check=False,
    )


def _check(program: str, uid: int, directory: str) -> None:
    """The program and all above it must be root's, or of the user that it will run as."""
    path = program
    while True:
        seen = os.stat(path)
        loose = seen.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not seen.st_mode & stat.S_ISVTX
        if seen.st_uid not in {0, uid} or (loose and uid == 0):
            raise ConfigError(
                f"{path} can be changed by others than the owner of {directory}, so it is not run in his name",
                hint="give both to one user (chown), or do it by hand as that user",
            )
        if path == "/":
            return
        path = os.path.dirname(path)
