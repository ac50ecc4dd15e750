"""The port to libsystemd: which of the two Python libraries speaks for us. Knows no protocol of ours.

Nothing else in the project imports `systemd` or `cysystemd`.
"""

from __future__ import annotations

import os

from spyglass_systemd.words.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    # What an entry must have: of each group of `FIELD=value` one.
    Groups = tuple[tuple[str, ...], ...]
    # When it was written, in microseconds since 1970, and its fields as text; of a repeated one the first. Bytes that
    # are no UTF-8 are replaced.
    Entry = tuple[int, dict[str, str]]

    class Adapter(Protocol):
        """What an adapter module offers. Each call may raise OSError where the kernel or systemd said no."""

        NAME: str

        def listen_fds_with_names(self) -> tuple[tuple[int, str], ...]:
            """The (descriptor, name) pairs of sd_listen_fds_with_names(3), close-on-exec; () when none are for us.

            The environment is left as it is. A descriptor without a name is called "unknown", as libsystemd does.
            """

        def notify(self, text: str) -> bool:
            """One datagram of sd_notify(3), whatever lines it holds; False when there is no NOTIFY_SOCKET."""

        def journal_send(self, fields: dict[str, str]) -> None:
            """One entry of sd_journal_send(3). Waits a tenth of a second at most; no journal at all is no error."""

        def journal_open(self, groups: Groups, directory: str = "") -> Journal:
            """The journal of this machine, or the files in `directory`; only entries that match all `groups`."""

    class Journal(Protocol):
        """A place in the journal: at an entry, or between two. sd-journal(3)."""

        def to_time(self, realtime_us: int) -> None:
            """Between the entries that are older than this and those that are not."""

        def older(self) -> Entry | None:
            """Step to the entry before, None where there is none."""

        def newer(self) -> Entry | None:
            """Step to the entry behind, None where there is none yet."""

        def wait(self, seconds: float) -> None:
            """Until something has been written, or for so long."""


SYSTEMD_PYTHON, CYSYSTEMD = "systemd-python", "cysystemd"
FORCE = "SPYGLASS_SD"

_chosen: Adapter | None = None


def adapter() -> Adapter:
    """The adapter of the library that is installed, chosen once: `systemd-python` where it imports, else `cysystemd`.

    SPYGLASS_SD forces one. Raises ConfigError where it is unknown or does not import.
    """
    global _chosen
    if _chosen is None:
        _chosen = _choose(os.environ.get(FORCE, ""))
    return _chosen


def _choose(forced: str) -> Adapter:
    if forced not in ("", SYSTEMD_PYTHON, CYSYSTEMD):
        raise ConfigError(f"{FORCE}={forced!r} is no library", hint=f"it is one of {SYSTEMD_PYTHON} and {CYSYSTEMD}")
    reasons = []
    for name in (forced,) if forced else (SYSTEMD_PYTHON, CYSYSTEMD):
        try:
            return _load(name)
        except ImportError as error:
            reasons.append(f"{name}: {error}")
    raise ConfigError(
        f"no library that speaks to systemd can be imported ({'; '.join(reasons)})",
        hint=f"`pip install {forced or CYSYSTEMD}` into this environment"
        + ("" if forced == CYSYSTEMD else ", or on Debian `apt install python3-systemd` for the system's Python")
        + (f", or unset {FORCE}" if forced else ""),
    )


def _load(name: str) -> Adapter:
    if name == SYSTEMD_PYTHON:
        from spyglass_systemd.sd import systemd_python  # noqa: PLC0415  # only the chosen one

        return systemd_python
    from spyglass_systemd.sd import cysystemd  # noqa: PLC0415  # only the chosen one

    return cysystemd
