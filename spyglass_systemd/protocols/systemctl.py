"""`systemctl`, of the system or of a user's own manager: its words, and its errors. Knows no unit."""

from __future__ import annotations

import os
import subprocess

from spyglass_systemd.words.errors import ManagerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Run = Callable[[list[str]], subprocess.CompletedProcess[str]]

# What it says is for people in its own words, and for us to read.
_PLAIN = {"SYSTEMD_COLORS": "0", "SYSTEMD_PAGER": "", "SYSTEMD_LOG_LEVEL": "warning", "LC_ALL": "C.UTF-8"}


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run it to its end; its output as text. Raises ManagerError where there is no such program."""
    try:
        return subprocess.run(
            command, env=os.environ | _PLAIN, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise ManagerError(
            f"there is no {command[0]} here, so no systemd", hint="`spyglass lookout` needs none"
        ) from None


class Systemctl:
    """One service manager. `user`: that of whoever runs us, else the system's."""

    __slots__ = ("_run", "user")

    def __init__(self, *, user: bool = False, run: Run = run) -> None:
        self.user = user
        self._run = run

    def do(self, verb: str, *words: str) -> str:
        """What `systemctl VERB WORDS` prints. Raises ManagerError with systemd's own words where it fails."""
        done = self._run(self._command(verb, *words))
        if done.returncode:
            raise self._refusal(verb, words, done)
        return done.stdout

    def show(self, unit: str, *properties: str) -> dict[str, str]:
        """Properties of a unit, whether it is loaded or not; "" for those it does not have. Raises ManagerError."""
        return self.show_all([unit], *properties)[unit]

    def show_all(self, units: Sequence[str], *properties: str) -> dict[str, dict[str, str]]:
        """The same of several units at once, in their order. What a unit has more than one of is a line each."""
        said = self.do("show", f"--property={','.join(properties)}", "--", *units) if units else ""
        blocks = [*said.split("\n\n"), *[""] * len(units)]  # a unit that has none of them is not even an empty block
        found = {}
        for unit, block in zip(units, blocks, strict=False):
            values: dict[str, list[str]] = {name: [] for name in properties}
            for line in block.splitlines():
                key, _, value = line.partition("=")
                values.setdefault(key, []).append(value)
            found[unit] = {name: "\n".join(lines) for name, lines in values.items()}
        return found

    def is_active(self, unit: str) -> bool:
        """Whether it is up; one that is starting or stopping is not. Raises ManagerError."""
        return self.show(unit, "ActiveState")["ActiveState"] == "active"

    def is_enabled(self, unit: str) -> bool:
        """Whether it starts with the machine, or with the user's manager."""
        return self._run(self._command("is-enabled", "--quiet", unit)).returncode == 0

    def units(self, *patterns: str) -> list[str]:
        """The names of the units in memory that match: running, listening, failed. Raises ManagerError."""
        listed = self.do("list-units", "--all", "--plain", "--no-legend", "--full", "--", *patterns)
        return [line.split()[0] for line in listed.splitlines() if line]

    def version(self) -> int:
        """252 for systemd 252. Raises ManagerError."""
        words = self.do("--version").split()
        return int(words[1]) if len(words) > 1 and words[1].isdecimal() else 0

    def _command(self, verb: str, *words: str) -> list[str]:
        return ["systemctl", *(("--user",) if self.user else ()), "--no-ask-password", verb, *words]

    def _refusal(self, verb: str, words: tuple[str, ...], done: subprocess.CompletedProcess[str]) -> ManagerError:
        units = [word for word in words if not word.startswith("-")]
        said = " ".join(done.stderr.split()) or f"exit status {done.returncode}"
        if "Failed to connect to " in said and " bus" in said:  # the one, or that of a "user scope"
            return ManagerError(f"systemd cannot be reached: {said}", hint=_USER_BUS if self.user else _BUS)
        journal = f"journalctl {'--user ' if self.user else ''}-e " + " ".join(f"-u {unit}" for unit in units)
        return ManagerError(
            f"systemctl {verb} {' '.join(units)}: {said}".replace(" :", ":"), hint=f"see `{journal}`" if units else ""
        )


_BUS = "is systemd PID 1 on this machine? Where it is not, `spyglass lookout` takes its part"
_USER_BUS = (
    "your own service manager runs while you are logged in, or always after `loginctl enable-linger`; "
    "su and sudo do not log in, `machinectl shell YOU@` does"
)
