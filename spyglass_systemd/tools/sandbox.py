"""Runs a program as the service of an app would run it: its user, its sandbox, its directories, its environment.

Whatever executes an app's interpreter or code goes through here, so root never does. Knows nothing of Python.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spyglass_systemd.protocols import unitfile
from spyglass_systemd.protocols.systemctl import Systemctl
from spyglass_systemd.words.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from spyglass_systemd.protocols.unitfile import Line
    from spyglass_systemd.tools.places import Site

# ### How does one get the very sandbox of a unit?
# Not by copying properties: `systemctl show` prints them in a form that `systemd-run --property=` does not read back,
# and the latter expands no %i. So systemd reads the unit once more. A transient unit obeys drop-ins like every other;
# we lay one beside it that holds the [Service] lines of the app's unit and of all its drop-ins, in their order, without
# those that say what is run and how it is watched. The transient unit is an instance of the same name, so %i means the
# same; User=, credentials, limits, the slice, and what the next systemd may bring come along, read by the parser that
# they were written for. `systemd-run` adds our own terminal or pipes.
#
# The program stands in that drop-in, too, behind env(1): systemd-run would look it up on the PATH of whoever calls, and
# replace variables in its arguments; the `:` forbids systemd the latter, and env(1) has the PATH of the app. Around it
# is a shell, for the status: systemd takes an end by SIGTERM or SIGINT for a success, and forgets the number of any
# other signal. The shell says 128 and the signal; what it is sent itself it leaves to the program.
#
# ### And while the app is awake?
# Then two services have the dynamic user `spyglass-NAME`, which systemd shares between them, and one state directory.
# What must not be shared is the runtime directory: it is removed when a service ends, and the app's holds its
# scoreboard. So the program gets one of its own.
_OF_THE_SERVICE = (  # the settings that are not part of the sandbox begin like this
    "Bus",
    "Exec",
    "Failure",
    "FileDescriptorStore",
    "Kill",
    "NonBlocking",
    "Notify",
    "OOMPolicy",
    "OpenFile",
    "PIDFile",
    "RemainAfterExit",
    "Restart",
    "RuntimeDirectory",
    "RuntimeMax",
    "Sockets",
    "Standard",
    "Success",
    "SyslogIdentifier",
    "TTY",
    "Timeout",
    "Type",
    "Watchdog",
)
_SHELL = 'trap : HUP INT QUIT TERM; /usr/bin/env -- "$@"; exit $?'
_KEPT = ("ExecPaths", "ExecSearchPath")  # which do not say what is run
_CAUSES = {  # the statuses by which systemd says that it could not make the sandbox, systemd.exec(5)
    200: ("the working directory cannot be entered", "is `chdir` there, and may the app's user enter it?"),
    203: ("the program cannot be executed", "is it there, and may the app's user execute it?"),
    208: ("there is no such input", ""),
    216: ("there is no group", ""),
    217: ("there is no user", ""),
    226: ("the sandbox cannot be set up", "does a drop-in for the service name a path that is not there?"),
    233: ("a runtime directory cannot be made", ""),
    238: ("the state directory cannot be made", ""),
    239: ("the cache directory cannot be made", ""),
    240: ("the log directory cannot be made", ""),
    243: ("the credentials cannot be read", "is the file of each `credentials` there?"),
}

_ACCOUNTS = {216: ("Group", "addgroup --system"), 217: ("User", "adduser --system --group")}


def settings(lines: Iterable[Line]) -> list[Line]:
    """What of a unit's lines, in the order of their reading, makes the sandbox."""
    return [
        (section, key, value)
        for section, key, value in lines
        if section == "Service" and (key in _KEPT or not key.startswith(_OF_THE_SERVICE))
    ]


def last(lines: Iterable[Line], key: str) -> str:
    """The value that counts of a setting that takes one; "" where there is none."""
    return next((value for _, each, value in reversed(list(lines)) if each == key), "")


@dataclass(frozen=True)
class Sandbox:
    """That of a site's app: what its unit says of it, see `settings`."""

    site: Site
    lines: tuple[Line, ...]

    def run(
        self,
        words: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        directory: str = "",
        capture: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end, on our terminal or streams; `capture` what it says. Its status is the program's.

        Raises PrivilegeError and ConfigError where no sandbox can be made by us or here.
        """
        number = os.urandom(4).hex()
        unit = f"spyglass-run-{number}@{self.site.name}.service"
        user = ["--user"] if self.site.places.user else []
        terminal = not capture and sys.stdin.isatty() and sys.stdout.isatty()
        folder = f"{_runtime_units(user=bool(user))}/{unit}.d"
        self.site.places.check_rights()
        _lay(folder, drop_in(self.lines, words, number, environment or {}, directory))
        try:
            return subprocess.run(
                [
                    *["systemd-run", *user, "--quiet", "--collect", "--wait", f"--unit={unit}"],
                    *["--pty" if terminal else "--pipe", "--", "/usr/bin/env"],
                ],
                stdin=subprocess.DEVNULL if capture else None,
                stdout=subprocess.PIPE if capture else None,
                stderr=subprocess.PIPE if capture else None,
                env={**os.environ, "SYSTEMD_TINT_BACKGROUND": "0"},
                text=True,
                errors="backslashreplace",
                check=False,
            )
        except BaseException:  # Ctrl-C ends systemd-run, and not what it has started
            subprocess.run(["systemctl", *user, "--quiet", "stop", unit], check=False)
            raise
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def drop_in(
    lines: Iterable[Line], words: Sequence[str], number: str, environment: Mapping[str, str], directory: str
) -> str:
    """What makes a transient unit run `words` in the sandbox that `lines` are. What stands here last counts."""
    more = [
        ("RuntimeDirectory", f"spyglass/%i.{number}"),
        ("TimeoutStopSec", "10"),
        *([("WorkingDirectory", unitfile.literal(directory))] if directory else []),
        *[("Environment", unitfile.argument(f"{key}={value}")) for key, value in environment.items()],
        ("ExecStart", ""),
        ("ExecStart", f":/bin/sh -c {' '.join(map(unitfile.argument, (_SHELL, 'sh', *words)))}"),
    ]
    made = [*lines, *(("Service", key, value) for key, value in more)]
    return unitfile.write(made, "For one run of a program; it is removed when that ends.")


def cause(status: int, box: Sandbox) -> tuple[str, str]:
    """What systemd means by this status of a service that it could not start, and what to try; ("", "") for none."""
    what, hint = _CAUSES.get(status, ("", ""))
    if status in _ACCOUNTS:
        key, make = _ACCOUNTS[status]
        name = last(box.lines, key).replace("%i", box.site.name)
        what = f"{what} {name or 'of that name'}"
        hint = f"`{make} {name or 'NAME'}` makes one; which file says {key}= shows `systemctl cat {box.site.service}`"
    return what, hint


def of_service(site: Site, file: str = "", draft: Iterable[Line] = ()) -> Sandbox:
    """The sandbox of a site's service, as systemd would read its unit now, with `draft` in the place of a drop-in.

    `file` is where that one lies, or will. Raises ManagerError, and ConfigError where there is no such unit.
    """
    manager = Systemctl(user=site.places.user)
    found = manager.show(site.service, "FragmentPath", "DropInPaths")
    if not found["FragmentPath"]:
        raise ConfigError(
            f"there is no unit {site.service}",
            hint="install the package spyglass-systemd; `spyglass lookout` needs neither it nor systemd",
        )
    drop_ins = {path: _lines(path) for path in found["DropInPaths"].split() if path != file}
    if file:
        drop_ins[file] = tuple(draft)
    ordered = sorted(drop_ins, key=os.path.basename)  # as systemd reads them, whatever directory they are in
    lines = [*_lines(found["FragmentPath"]), *(line for path in ordered for line in drop_ins[path])]
    return Sandbox(site, tuple(settings(lines)))


def _lines(path: str) -> tuple[Line, ...]:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return unitfile.parse(file.read())
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", hint="systemctl daemon-reload") from None
    except ValueError as error:
        raise ConfigError(f"{path}: {error}", hint="systemd passes such a line over; mend it") from None


def _runtime_units(*, user: bool) -> str:
    """Where a service manager looks for units that go with it."""
    if user:
        return f"{os.environ.get('XDG_RUNTIME_DIR') or f'/run/user/{os.getuid()}'}/systemd/user"
    return "/run/systemd/system"


def _lay(folder: str, text: str) -> None:
    try:
        os.makedirs(folder, mode=0o755)
        with open(f"{folder}/sandbox.conf", "x", opener=_private, encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise ConfigError(
            f"{folder} cannot be made: {error.strerror}", hint="is systemd running here? `spyglass lookout` needs none"
        ) from None


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)  # the app's environment stands in it
