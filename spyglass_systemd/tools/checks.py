"""What is asked before a site is enabled, in order: each is a question to the machine. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from spyglass_systemd.tools.accounts import exist, lingers, may_read
from spyglass_systemd.tools.importing import imports, interpreter
from spyglass_systemd.tools.secrets import present
from spyglass_systemd.tools.units import installed
from spyglass_systemd.tools.vacancy import vacant

if TYPE_CHECKING:
    from spyglass_systemd.tools.wanted import Wanted

# A check raises SpyglassError, whose hint says what to do, where the site could not run; it yields a line for what
# a person should know though the site would run. What runs code of the app does so in the sandbox of its unit.
Check = Callable[["Wanted"], Iterable[str]]

CHECKS: tuple[Check, ...] = (installed, exist, interpreter, may_read, present, vacant, imports, lingers)


def check(wanted: Wanted) -> list[str]:
    """Ask everything; the remarks. Raises the SpyglassError of the first check that fails."""
    return [remark for each in CHECKS for remark in each(wanted)]
