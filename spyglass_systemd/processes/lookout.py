"""The Lookout: holds the listeners while the app sleeps, as systemd does. Knows no HTTP, no app, no worker.

`python -m spyglass_systemd.processes.lookout [--name APP] [--log-level LEVEL] [NAME=]ADDR... -- COMMAND ARG...`, run by
`spyglass lookout`, which has made the process a subreaper. COMMAND is a Master; that is all we know of it.
"""

from __future__ import annotations

import os
import select
import sys
import time

from spyglass_systemd.policy import respawn
from spyglass_systemd.protocols import binding, handover, offspring, signals
from spyglass_systemd.protocols.journal import DEBUG, ERROR, Log
from spyglass_systemd.words.addresses import parse_address
from spyglass_systemd.words.errors import ActivationError, SpyglassError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from spyglass_systemd.protocols.binding import OwnListener
    from spyglass_systemd.words.addresses import Address

SLEPT, APP_FAILED = 0, 69
ENDING = (signals.INT, signals.QUIT, signals.TERM)
PASSED_ON = (signals.HUP, signals.TTIN, signals.TTOU, signals.USR1, signals.USR2)


class Lookout:
    """Waits for a connection, starts a Master, waits for its end, and does it again."""

    __slots__ = (
        "_command",
        "_early",
        "_failures",
        "_leaving",
        "_listeners",
        "_log",
        "_mailbox",
        "_master",
        "_ready",
        "_rest",
        "_signals",
    )

    def __init__(self, listeners: tuple[OwnListener, ...], command: list[str], log: Log, signals_fd: int) -> None:
        self._listeners = listeners
        self._command = command
        self._log = log
        self._signals = signals_fd
        self._mailbox = handover.Mailbox()
        self._master = 0  # its pid, 0 while the app is asleep
        self._ready = False  # it has said READY=1, and not STOPPING=1
        self._early: list[int] = []  # signals for it that came before
        self._failures = 0  # in a row
        self._rest = 0.0  # until when, CLOCK_MONOTONIC
        self._leaving = False

    # ### What happens here
    # Nothing, mostly. The Lookout doesn't know anything about the app, so there is no setup to do. It goes round this
    # loop once for each time that the app is awake, and comes back to the top with nothing more than it began with: its
    # listeners, a mailbox, and a pipe that signals come through.

    def run(self) -> int:
        """Hold the listeners until a signal ends it; the exit code."""
        for listener in self._listeners:
            self._log.event("listening", listener=listener.label, address=listener.where)
        while (woken := self._await_connection()) is not None:
            self._log.event("woke", listener=woken.label)
            self._run_master()
        return 0

    # ### Why not accept the connection?
    # The first Spyglass did, and handed it to the Master. But a connection that has been accepted belongs to somebody,
    # and whoever has it can lose it: a Master that cannot be started, or dies while the app is loaded, takes it along.
    # One that nobody has accepted waits in the kernel's backlog, with what its client has sent by then, until somebody
    # is there who can answer. So we only look whether there is one. It stays there to be seen until the Master has
    # loaded the app, so we do not look again before the Master is gone. Then the question is the same as at the start,
    # and the connection that came too late for this Master is the first one of the next.

    def _await_connection(self) -> OwnListener | None:
        poll = self._poll()
        while not self._leaving and (seconds := self._rest - time.monotonic()) > 0:
            self._turn(poll, seconds)
        for listener in self._listeners:
            poll.register(listener.fd, select.POLLIN)
        while not self._leaving:
            ready = self._turn(poll)
            for listener in self._listeners:
                if ready.get(listener.fd, 0) & ~select.POLLIN:
                    hint = "shutdown(2) ends a listener for all who hold it; close(2) is enough"
                    raise ActivationError(f"{listener.label} listens no more", hint=hint)
                if listener.fd in ready and not self._leaving:
                    return listener
        return None

    # ### Why fork(2)? Why not just spin up the Master?
    # The whole point of the Lookout is to be lean. If it loaded the app there would be no (simple) way to unload it
    # again; in Python there is none at all. A process that exits gives everything back, and the kernel keeps the books.
    #
    # ### And why execve(2)?
    # The fork alone would do for that. A new interpreter costs some ten milliseconds, and the visitor who wakes the app
    # pays them, each time. For this the Master starts exactly as under systemd: with one protocol instead of two, with
    # nothing of ours in its memory, and from the Python and the code that are installed now, not from those of the day
    # when the Lookout was started.
    #
    # ### Who knows what your app will demand!
    # It may need lots of memory, start programs and forget them, be killed in the middle of something. None of that may
    # outlast the Master. Its memory goes with it. For the rest it has a process group of its own, and whoever is left
    # in there when it is gone gets SIGKILL, as with a cgroup of systemd. The order matters: a dead process keeps its
    # number, and thereby the group its name, until it is waited for. The pidfd tells of the death without waiting; so
    # first the group is killed and then the Master is reaped, and neither this signal nor one that is passed on can
    # ever meet a stranger who has been given the number since.

    def _run_master(self) -> None:
        environ = handover.environment(os.environ, self._listeners, self._mailbox.address)
        self._ready, self._early = False, []
        began = time.monotonic()
        try:
            self._master = handover.start(self._command, environ, [listener.fd for listener in self._listeners])
        except OSError as error:  # EAGAIN, ENOMEM
            self._fail(f"cannot fork: {error.strerror}", lived=0.0)
            return
        pidfd = os.pidfd_open(self._master)
        poll = self._poll(pidfd)
        while pidfd not in self._turn(poll):
            pass
        os.close(pidfd)
        try:  # noqa: SIM105  # contextlib for one line
            os.killpg(self._master, signals.KILL)
        except PermissionError:  # of those in there none is left whom we may kill
            pass
        _, status = os.waitpid(self._master, 0)
        self._master = 0
        self._reap_orphans()
        self._judge(status, lived=time.monotonic() - began)

    # ### Why rest?
    # To exit with 0 or 69 is the Master's decision, made when nothing was pending. Anything else is an accident; and as
    # the connection that woke it may still be waiting, the accident would happen again at once, and for ever. So there
    # is a rest, each time twice as long. Whoever connects meanwhile waits in the backlog: served late, but not refused.
    # systemd counts starts instead, and when they are too many it closes the listener for good. We do not: a slow port
    # mends itself when the app is mended, a closed one waits for a person.

    def _judge(self, status: int, lived: float) -> None:
        code = os.waitstatus_to_exitcode(status)
        if self._leaving:
            self._log.event("stopped", how=offspring.describe(status))
        elif code in (SLEPT, APP_FAILED):
            self._failures = 0
            self._log.event("slept" if code == SLEPT else "failed", status=code)
        else:
            self._fail(offspring.describe(status), lived)

    def _fail(self, how: str, lived: float) -> None:
        self._failures = respawn.in_a_row(self._failures, lived)
        seconds = respawn.delay(self._failures)
        self._rest = time.monotonic() + seconds
        self._log.event("master_died", ERROR, how=how, failures=self._failures, rest=f"{seconds:g}s")

    # ### What does a signal mean while nobody is there to hear it?
    # INT, QUIT and TERM end us as well, after the Master, which hears them first and may have something to finish. What
    # a second INT means is for the Master to know. A Ctrl-C counts once: a terminal sends it to its foreground group,
    # and the Master is in another. The other signals (reload; one worker more, one less) speak of an app that is awake.
    # To one that sleeps they say nothing, as it will read its configuration when it wakes. To one that is waking they
    # come too early, and to one that is leaving too late: a Master without handlers is killed by HUP and stopped for
    # good by TTIN. So they are kept until it says READY=1, and no longer passed on after STOPPING=1.
    #
    # ### And if it never says so?
    # Then it does not speak the protocol, and such a signal is not for it. Its mailbox is emptied all the same: a full
    # one would block whoever writes to it, at the eleventh message.

    def _turn(self, poll: select.poll, seconds: float | None = None) -> dict[int, int]:
        """Wait until something happens, do what is always done, and say which descriptors are ready, for what."""
        ready = dict(poll.poll(None if seconds is None else seconds * 1000))
        if self._mailbox.fileno() in ready:
            for letter in self._mailbox.empty():
                self._read(letter.split("\n"))
        if self._signals in ready:
            for number in signals.received(self._signals):
                self._heed(number)
        return ready

    def _heed(self, number: int) -> None:
        if number == signals.CHLD:
            self._reap_orphans()
        elif number in ENDING:
            self._leaving = True
            self._pass_on(number)
        elif self._ready:
            self._pass_on(number)
        elif number not in self._early:
            self._early.append(number)

    def _read(self, assignments: list[str]) -> None:
        self._log.event("notified", DEBUG, " ".join(assignments))
        if "READY=1" in assignments:
            self._ready = True
            while self._early:
                self._pass_on(self._early.pop(0))
        if "STOPPING=1" in assignments:
            self._ready = False

    def _pass_on(self, number: int) -> None:
        if self._master:
            os.kill(self._master, number)

    def _reap_orphans(self) -> None:
        """Wait for all the dead but the Master, which is not reaped before its group is killed."""
        try:
            while (found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
                if found.si_pid == self._master:
                    return
                os.waitpid(found.si_pid, 0)
        except ChildProcessError:
            return

    def _poll(self, *more: int) -> select.poll:
        poll = select.poll()
        for fd in (self._signals, self._mailbox.fileno(), *more):
            poll.register(fd, select.POLLIN)
        return poll


def main(arguments: list[str]) -> int:
    """Bind, and look out until a signal comes; the exit code. The arguments are those at the top of this file."""
    signals_fd = signals.watch((*ENDING, *PASSED_ON, signals.CHLD))
    listeners: tuple[OwnListener, ...] = ()
    try:
        options, addresses, command = _parse(arguments)
        actor = f"lookout pid={os.getpid()}"
        log = Log(options.get("--name", "app"), actor, environ=os.environ, level=options.get("--log-level", "info"))
        listeners = binding.bind_all(addresses)
        return Lookout(listeners, command, log, signals_fd).run()
    except SpyglassError as error:
        sys.stderr.write(f"spyglass: {error}\n")
        return error.exit_code
    finally:
        for listener in listeners:
            listener.close()


def _parse(arguments: list[str]) -> tuple[dict[str, str], list[Address], list[str]]:
    options = {}
    while arguments[:1] and arguments[0] in ("--name", "--log-level") and len(arguments) > 1:
        options[arguments[0]], arguments = arguments[1], arguments[2:]
    split = arguments.index("--") if "--" in arguments else 0
    if not 0 < split < len(arguments) - 1:
        raise UsageError("addresses, `--` and a command are wanted", hint="`spyglass lookout` knows how to say this")
    try:
        return options, [parse_address(text) for text in arguments[:split]], arguments[split + 1 :]
    except ValueError as error:
        raise UsageError(str(error)) from error


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
