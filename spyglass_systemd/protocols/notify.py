"""What we tell the service manager, sd_notify(3): one datagram a call. Knows no state of ours and raises nothing."""

from __future__ import annotations

import _socket
import select

from spyglass_systemd.words.lines import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
_STATUS_LIMIT = 1024  # bytes; systemd throws away a datagram of more than 4096
_NEVER = 2**64 - 1  # USEC_INFINITY
_STARTING, _RUNNING, _RELOADING, _STOPPING = "starting", "running", "reloading", "stopping"  # as the manager has it

# ### Why do we look before we send?
# Both libraries open a blocking socket for each message. systemd always reads its end, but NOTIFY_SOCKET is inherited,
# and somebody who does not read (a container's shim, a Lookout that hangs) would stop the Master at the eleventh
# message, and with it the watchdog and every wake. So a socket of our own asks poll(2) whether the queue has room. What
# the manager must know of us (ready, reloading, stopping) may wait a second for it, what only informs hardly at all.
_PATIENCE_MS = 1000
_LITTLE_PATIENCE_MS = 20


class Notifier:
    """The Master's word to its service manager; silent where there is none.

    Every method returns whether its message went out. What could not be sent is counted in `dropped`.
    `watchdog_interval` is how many seconds may pass between two calls of `watchdog`, None when nobody waits for them.
    `remark` is at the end of every status. What the manager must know and did not take is said again with each status.
    """

    __slots__ = ("_address", "_owed", "_stage", "_status", "dropped", "remark", "watchdog_interval")

    def __init__(self, address: str = "", watchdog_interval: float | None = None) -> None:
        self._address = address
        self._stage = _STARTING
        self._owed: list[str] = []
        self._status = ""
        self.dropped = 0
        self.remark = ""
        self.watchdog_interval = watchdog_interval

    @classmethod
    def from_environ(cls, environ: Mapping[str, str], pid: int) -> Notifier:
        """NOTIFY_SOCKET, and half of WATCHDOG_USEC unless WATCHDOG_PID is somebody else: sd_watchdog_enabled(3)."""
        address, text = environ.get("NOTIFY_SOCKET", ""), environ.get("WATCHDOG_USEC", "")
        ours = address and environ.get("WATCHDOG_PID", str(pid)) == str(pid)
        usec = int(text) if text.isascii() and text.isdecimal() and len(text) <= 20 else 0
        return cls(address, usec / 2_000_000 if ours and 0 < usec < _NEVER else None)

    def ready(self, status: str = "") -> bool:
        """READY=1, once; from then on the status only."""
        if self._stage != _STARTING:
            return self.status(status)
        return self._enter(_RUNNING, "READY=1", status)

    def status(self, text: str) -> bool:
        """STATUS=, when it says something new."""
        paid = False
        while self._owed:
            if not self._send(self._owed[0], text, patience=0):
                return False
            paid = bool(self._owed.pop(0))
        return paid or (bool(text) and text != self._status and self._send("", text))

    def extend(self, seconds: float) -> bool:
        """EXTEND_TIMEOUT_USEC=: starting, reloading or stopping may take `seconds` more from now on."""
        return self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1_000_000)}", patience=_PATIENCE_MS)

    def reloading(self, now_monotonic_us: int) -> bool:
        """RELOADING=1, from a service that runs: of one that starts or stops no manager knows a reload."""
        lines = f"RELOADING=1\nMONOTONIC_USEC={now_monotonic_us}"
        return self._stage == _RUNNING and self._enter(_RELOADING, lines)

    def reloaded(self, status: str = "") -> bool:
        """READY=1, which ends a reload, whatever came of it."""
        return self._stage == _RELOADING and self._enter(_RUNNING, "READY=1", status)

    @property
    def owes(self) -> bool:
        """Whether there is something that the manager must know and has not taken yet."""
        return bool(self._owed)

    @property
    def reloads(self) -> bool:
        """Whether the manager waits for the end of a reload."""
        return self._stage == _RELOADING

    def stopping(self, status: str = "") -> bool:
        """STOPPING=1: from here on a new connection is our successor's."""
        self._stage = _STOPPING
        return self._send("STOPPING=1", status, patience=_PATIENCE_MS)

    def _enter(self, stage: str, lines: str, status: str = "") -> bool:
        self._stage = stage
        if not self._address:
            return False
        if not self._owed and self._send(lines, status, patience=_PATIENCE_MS):
            return True
        self._owed.append(lines)
        return False

    def watchdog(self) -> bool:
        """WATCHDOG=1."""
        return self.watchdog_interval is not None and self._send("WATCHDOG=1")

    def _send(self, lines: str, status: str = "", *, patience: int = _LITTLE_PATIENCE_MS) -> bool:
        if not self._address:
            return False
        if status:
            lines = f"{lines}\nSTATUS={one_line(status + self.remark, _STATUS_LIMIT)}".lstrip()
        from spyglass_systemd import sd  # noqa: PLC0415  # who says nothing pays nothing

        try:
            sent = self._has_room(patience) and sd.adapter().notify(lines)
        except OSError:
            sent = False
        if not sent:
            self.dropped += bool(patience)  # else it has been counted before
        elif status:
            self._status = status
        return sent

    def _has_room(self, patience: int) -> bool:
        if self._address[0] not in "/@":
            return True  # vsock: has no queue of the receiver's
        sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC)
        try:
            sock.connect("\0" + self._address[1:] if self._address[0] == "@" else self._address)
            poll = select.poll()
            poll.register(sock.fileno(), select.POLLOUT)
            return bool(poll.poll(patience))
        finally:
            sock.close()


def forget(environ: MutableMapping[str, str]) -> None:
    """Remove what makes a process speak in the Master's name: for the Template, right after the fork."""
    for variable in _VARIABLES:
        environ.pop(variable, None)
