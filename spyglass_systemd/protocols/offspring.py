"""Forking, watching and ending our own processes: pidfds, statuses, who else runs in our name. Decides nothing."""

from __future__ import annotations

import os
import sys

from spyglass_systemd.protocols import signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable, Iterable
    from typing import NoReturn
else:
    import _signal  # the builtin under `signal`, which costs an import of `enum` at each wake

# A Template and its workers sit in the Master's terminal, process group and cgroup, so they get signals that were meant
# for the Master: Ctrl-C, `systemctl kill`. The Master decides for all, so theirs do nothing. A handler, not SIG_IGN:
# what is ignored stays ignored over execve(2), in every program that the app starts.
_MASTERS = (signals.HUP, signals.INT, signals.TERM, signals.TTIN, signals.TTOU, signals.USR1, signals.USR2)


# ### Whose end is it?
# What an app registers with atexit at its import is there in every process that is forked after it. It is for the end
# of those who serve: run by a Template that leaves before its workers (after a reload it does), it would remove what
# they still use. So who has a child that serves renounces; where there never was one, nobody else can do it.
_renounced = False


def renounce() -> None:
    """What is registered for the end of this process is for its children to run."""
    global _renounced
    _renounced = True


def fork(body: Callable[[], None], *, join: bool = True) -> tuple[int, int]:
    """Run `body` in a child of ours and never return there. Returns the child's pid and its pidfd.

    The child begins with every signal unblocked and at its default, except those that belong to the Master, which do
    nothing. At its end it waits for the threads that were started in it, if it is to `join` them. Raises OSError as
    fork(2) (EAGAIN, ENOMEM) and pidfd_open(2) (EMFILE); then there is no child.
    """
    # It keeps the place for the child's: where there is none, that is found out before there is a child. One that was
    # killed for it might have accepted somebody.
    place = os.pidfd_open(os.getpid())
    held = signals.hold()
    try:
        pid = os.fork() or _become_child(body, place, join=join)
    finally:
        signals.release(held)
        os.close(place)
    try:
        return pid, os.pidfd_open(pid)
    except ProcessLookupError:  # it is gone, and the app has its children reaped unseen
        raise
    except OSError:  # a thread of the app was quicker
        os.kill(pid, signals.KILL)
        reap(pid)
        raise


def _become_child(body: Callable[[], None], place: int, *, join: bool) -> NoReturn:
    global _renounced
    status = 70  # EX_SOFTWARE
    try:
        os.close(place)
        _renounced = False
        signals.restore(_MASTERS)
        body()
        status = 0
    except SystemExit as exit_:
        code = exit_.code or 0  # sys.exit() is a success
        status = code if isinstance(code, int) else status
    except BaseException:  # noqa: BLE001  # the last frame of a process: its traceback is all that remains
        sys.excepthook(*sys.exc_info())
    finally:
        leave(status, join=join)


def leave(status: int, *, join: bool = True) -> NoReturn:
    """End a forked process in order: its threads (if `join`), its atexit functions, its streams; then at once."""
    try:
        threading = sys.modules.get("threading")
        if join and threading is not None:
            threading._shutdown()  # noqa: SLF001  # what Py_Finalize does first; a fork ends without it
        if not _renounced:
            import atexit  # noqa: PLC0415  # a builtin module, needed only here

            atexit._run_exitfuncs()  # noqa: SLF001  # as multiprocessing does in its children
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:  # noqa: BLE001  # an atexit function of the app may raise what it likes
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(status)


def reap(pid: int) -> int | None:
    """Wait for a child that is dead or dying. Its status as in waitpid(2), None where somebody else has taken it.

    SIGCHLD may be ignored, by the app or by whoever started us, and an app may wait for every child there is.
    """
    try:
        return os.waitpid(pid, 0)[1]
    except ChildProcessError:
        return None


def send_signal(pidfd: int, number: int) -> None:
    """Send a signal to the process behind `pidfd`; one that is gone is no error."""
    try:
        _signal.pidfd_send_signal(pidfd, number)
    except ProcessLookupError:
        return


def describe(status: int | None) -> str:
    """How a process ended, for a person: `exit 3`, `signal SIGSEGV`, `signal SIGKILL`; None is not known."""
    if status is None:
        return "unknown"
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        names = (n for n in dir(_signal) if n.startswith("SIG") and n[3] != "_" and getattr(_signal, n) == number)
        core = " (core dumped)" if os.WCOREDUMP(status) else ""
        return f"signal {next(names, number)}{core}"
    return f"exit {os.waitstatus_to_exitcode(status)}"


def proportional_kib(pids: Iterable[int]) -> int:
    """The proportional set size of these processes together, in KiB (proc_pid_smaps(5)); 0 where it is hidden."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup", "rb") as rollup:
                for line in rollup:
                    if line.startswith(b"Pss:"):
                        total += int(line.split()[1])
                        break
        except (OSError, ValueError):
            continue
    return total
