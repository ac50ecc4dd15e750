"""The port through `systemd-python`, its extension modules alone: its Python wrappers cost a wake 5 to 15 ms."""

from __future__ import annotations

from systemd._daemon import _listen_fds_with_names
from systemd._daemon import notify as _notify

from spyglass_systemd.sd.journal_socket import open_impatient

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from spyglass_systemd.sd import Groups, Journal

NAME = "systemd-python"
_FIRST = 3  # SD_LISTEN_FDS_START

_send: Callable[[dict[str, str]], None] | None = None


def listen_fds_with_names() -> tuple[tuple[int, str], ...]:
    """See the port."""
    _, *names = _listen_fds_with_names(False)
    return tuple(enumerate(names, _FIRST))


def notify(text: str) -> bool:
    """See the port."""
    return bool(_notify(text))


def journal_send(fields: dict[str, str]) -> None:
    """See the port."""
    global _send
    if _send is None:
        from systemd._journal import sendv  # noqa: PLC0415  # only who has something to say

        def send(fields: dict[str, str]) -> None:
            sendv(*[f"{name}={value}" for name, value in fields.items()])

        open_impatient(send)
        _send = send
    _send(fields)


def journal_open(groups: Groups, directory: str = "") -> Journal:
    """See the port."""
    from spyglass_systemd.sd.systemd_python_journal import Reader  # noqa: PLC0415  # tools only

    return Reader(groups, directory)
