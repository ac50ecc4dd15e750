"""Signals as readable bytes: handlers do nothing, the wakeup descriptor tells the loop. Decides nothing."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Iterable
else:
    import _signal  # the builtin under `signal`, which costs an import of `enum` at each wake

INT, QUIT, TERM, HUP = _signal.SIGINT, _signal.SIGQUIT, _signal.SIGTERM, _signal.SIGHUP
TTIN, TTOU, USR1, USR2 = _signal.SIGTTIN, _signal.SIGTTOU, _signal.SIGUSR1, _signal.SIGUSR2
CHLD, KILL = _signal.SIGCHLD, _signal.SIGKILL
STACKS = _signal.SIGRTMIN + 7  # asks a process of ours for its stacks; nobody else sends real-time signals to an app
# What a Master hears. USR1 and USR2 mean nothing to it; but log rotation sends USR1 by habit, and the default is death.
MASTERS = (HUP, INT, QUIT, TERM, TTIN, TTOU, USR1, USR2)

_watched: set[int] = set()
_pipe: tuple[int, ...] = ()


def watch(signums: Iterable[int]) -> int:
    """Turn each of `signums` into a byte; the descriptor to poll for reading. Once a process (or after `restore`)."""
    global _pipe
    if _pipe:
        raise RuntimeError("signals are watched already")
    _pipe = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    # Set before the first handler: a signal in between would be swallowed. A full pipe holds 65536 of them, and whoever
    # reads it then reads enough.
    _signal.set_wakeup_fd(_pipe[1], warn_on_full_buffer=False)
    for signum in signums:
        _signal.signal(signum, _do_nothing)
        _watched.add(signum)
    _signal.pthread_sigmask(_signal.SIG_UNBLOCK, _watched)  # a blocked signal stays blocked over an exec
    return _pipe[0]


def received(fd: int) -> list[int]:
    """The signals that have come since the last call, in their order. Equal ones that came at once may be one."""
    try:
        return list(os.read(fd, 4096))
    except BlockingIOError:
        return []


def hold() -> set[int]:
    """Block every signal, so that the child of a fork does not run its parent's handlers; the mask for `release`.

    But not STACKS: what an app has a fork do first (os.register_at_fork) can get stuck as well.
    """
    return set(_signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals() - {STACKS}))


def release(held: set[int]) -> None:
    """Back to the mask that `hold` returned; what came in between is delivered now."""
    _signal.pthread_sigmask(_signal.SIG_SETMASK, held)


def restore(ignored: Iterable[int] = ()) -> None:
    """In a forked child: what was watched does what it does by default, nothing is blocked, the pipe is closed.

    Those of `ignored` do nothing. They do so before they are unblocked: one may have come to the whole group since the
    fork. Signals that Python ignores (PIPE) stay ignored: a child that goes on as Python needs that.
    """
    global _pipe
    _signal.set_wakeup_fd(-1)
    for signum in _watched:
        _signal.signal(signum, _signal.SIG_DFL)
    _watched.clear()
    for fd in _pipe:
        os.close(fd)
    _pipe = ()
    for signum in ignored:
        ignore(signum)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())


def restore_for_exec() -> None:
    """In a child about to run another program: `restore`, and what Python or our parent ignores is reset too."""
    for signum in _signal.valid_signals():
        if signum not in (_signal.SIGKILL, _signal.SIGSTOP):
            _signal.signal(signum, _signal.SIG_DFL)
    restore()


def ignore(signum: int) -> None:
    """Let `signum` do nothing here; in the programs that we start it is at its default, unlike after SIG_IGN."""
    _signal.signal(signum, _do_nothing)


def _do_nothing(signum: int, frame: object) -> None:
    """Without a handler of Python's there is no byte."""
