"""A throw-away machine with systemd as its PID 1: boots it, runs commands in it, ends it. Knows nothing of ours.

It is a systemd-nspawn container whose root is an overlay over a base that stays as it is. It needs root, and neither a
systemd nor a machined on the host. It has no network but its own loopback, and it ends with the process that made it.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

LIMIT = 30.0  # seconds for anything to happen
_CGROUP = Path("/sys/fs/cgroup")
_HYBRID = (_CGROUP / "unified").is_dir()
_POWER_OFF, _REBOOT, _HALT = (
    signal.SIGRTMIN + 4,
    signal.SIGRTMIN + 5,
    signal.SIGRTMIN + 14,
)  # systemd(1): the last at once
_PLACE, _PREFIX = "/var/tmp", "spyglass-machine-"
_PR_SET_PDEATHSIG = 1  # <sys/prctl.h>
_ENVIRON = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
    "SYSTEMD_PAGER": "",
    "SYSTEMD_COLORS": "0",
}
# With these IPAddressDeny= and its like have an effect in the machine.
_BPF = ("--capability=CAP_BPF,CAP_PERFMON,CAP_NET_ADMIN,CAP_SYS_RESOURCE", "--system-call-filter=bpf")

# ### Which cgroups does a machine get?
# One of its own in each hierarchy it uses, below the one that we are in. nspawn makes `payload` below the cgroup that
# it is started in; two machines that are started from one would share it, and each PID 1 would end the other's
# services. And whatever happens, cgroup.kill ends the machine as a whole: SIGKILL for nspawn alone leaves it running.
#
# ### Why two lanes?
# Because on a hybrid host a controller is in one hierarchy only. In the unified lane a machine has cgroup2 as it is on
# every VPS, but memory.max does nothing in it. In the v1 lane the memory, pids and cpu controllers work.
UNIFIED, V1 = "unified", "v1"
_CONTROLLERS = ("memory", "pids", "cpu")


def lacks(lane: str) -> str:
    """Why this host has no such lane; "" if it has."""
    if lane == V1 and not (_CGROUP / "memory" / "cgroup.procs").exists():
        return "this host has no cgroup v1 controllers"
    return ""


def eventually(check, what=""):
    """Ask again and again until `check()` is true, for what sends no event; its value."""
    deadline = time.monotonic() + LIMIT
    while not (found := check()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"never came true: {what or check}")
        time.sleep(0.02)
    return found


class Result:
    """What a command did."""

    def __init__(self, done):
        self.code, self.out, self.err = done.returncode, done.stdout.strip(), done.stderr.strip()

    def __repr__(self):
        return f"<Result {self.code}\n{self.out}\n{self.err}>"


class Machine:
    """A machine that is up, from the root file system `base`. `root` is its own, as seen from here."""

    def __init__(self, base, name, lane=UNIFIED):
        self.name = name
        self.lane = lane
        self.leader = 0  # its PID 1, as we see it
        self._nspawn = None
        self._ends = contextlib.ExitStack()
        with contextlib.ExitStack() as stack:
            self._boot(base, stack)
            self._ends = stack.pop_all()

    def _boot(self, base, stack):
        self._base = os.open(base, os.O_RDONLY)
        stack.callback(os.close, self._base)
        fcntl.flock(self._base, fcntl.LOCK_SH)  # so that nobody throws it away
        _sweep()
        directory = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_PLACE))
        self.root = directory / "root"
        self.cgroups = [cgroup / directory.name for cgroup in _cgroups(self.lane)]
        stack.callback(os.close, _locked(directory))
        stack.callback(_discard, directory)  # while it is ours still: somebody else's sweep would remove it as well
        for part in ("upper", "work", "root"):
            (directory / part).mkdir()
        layers = f"lowerdir={base},upperdir={directory}/upper,workdir={directory}/work"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, self.root], check=True)
        for cgroup in self.cgroups:
            cgroup.mkdir()
        self._console = directory / "console"
        stack.callback(self._end)
        self._start()

    def _start(self):
        with self._console.open("wb") as console:
            self._nspawn = subprocess.Popen(
                [
                    *["systemd-nspawn", "--quiet", "--directory", self.root, "--machine", self.name, "--boot"],
                    *["--register=no", "--keep-unit", "--console=read-only", "--private-network", *_BPF],
                ],
                env=os.environ | {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1" if self.lane == UNIFIED else "0"},
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
                preexec_fn=self._enter,  # noqa: PLW1509  # we have no threads
            )
        self.leader = eventually(self._find_leader, "PID 1 of the machine")
        eventually(self._up, "a machine that is up")
        if self.lane == V1:
            # nspawn mounts the controllers read-only; in the machine's own mount namespace they become writable, and
            # PID 1 has to look again.
            mounts = " ".join(str(_CGROUP / controller) for controller in _CONTROLLERS)
            self.run("sh", "-c", f"for c in {mounts}; do mount -o remount,rw,bind $c; done; systemctl daemon-reexec")

    def _enter(self):
        """In the child that becomes nspawn."""
        for cgroup in self.cgroups:
            (cgroup / "cgroup.procs").write_text(str(os.getpid()))
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

    def _find_leader(self):
        """The child of nspawn that is number 1 in its own pid namespace."""
        self._must_run()
        for pid in Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children").read_text().split():
            with contextlib.suppress(OSError):
                for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                    if line.startswith("NSpid:") and line.split()[-1] == "1":
                        return int(pid)
        return 0

    def _up(self):
        self._must_run()
        return self.run("systemctl", "is-system-running", check=False).out in {"running", "degraded"}

    def _must_run(self):
        if self._nspawn.poll() is not None:
            raise RuntimeError(f"the machine has ended: {self._console.read_text(errors='replace')[-2000:]}")

    # ### Things to do with it

    def run(self, *command, check=True, stdin=""):
        """Run a command in the machine's namespaces, as root, but in none of its units: `systemd-run` does that."""
        namespaces = ["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root", "--wdns=/"]
        done = subprocess.run(
            ["nsenter", f"--target={self.leader}", *namespaces, "--", *map(str, command)],
            env=_ENVIRON,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=2 * LIMIT,
            check=False,
        )
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(map(str, command))}: {Result(done)}")
        return Result(done)

    def put(self, path, text, mode=0o644):
        """Write a file in the machine."""
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(mode)

    def install(self, *packages):
        """Packages that are files out here, over a newer one as well."""
        for package in packages:
            shutil.copy(package, self.root / "opt")
        names = [f"/opt/{package.name}" for package in packages]
        return self.run("apt-get", "install", "--yes", "--quiet", "--allow-downgrades", *names)

    def inside(self, path):
        """The name, out here, of a file that only the machine has, such as one in /run."""
        return Path(f"/proc/{self.leader}/root{path}")

    def show(self, unit, *properties):
        """Properties of a unit; the value of the one, a dictionary of several."""
        lines = self.run("systemctl", "show", unit, f"--property={','.join(properties)}").out.splitlines()
        found = dict(line.partition("=")[::2] for line in lines)
        return found if len(properties) > 1 else found[properties[0]]

    def state(self, unit):
        """active, inactive, failed ..."""
        return self.show(unit, "ActiveState")

    def until(self, unit, state):
        """Wait for a unit's state."""
        return eventually(lambda: self.state(unit) == state, f"{unit} {state}")

    def journal(self, *arguments):
        """What journalctl says of the present boot."""
        self.run("journalctl", "--sync")
        return self.run("journalctl", "--quiet", "--boot", "--no-pager", *arguments, check=False).out

    # ### Its end

    def reboot(self):
        """Start it anew, as `systemctl reboot` does; what is in its root stays."""
        os.kill(self.leader, _REBOOT)
        self._nspawn.wait(LIMIT)  # with --keep-unit it leaves the second start to whoever started it
        self._start()

    def power_off(self):
        """End it in order, as `systemctl poweroff` does; for a machine that is to be looked at afterwards."""
        os.kill(self.leader, _POWER_OFF)
        self._nspawn.wait(LIMIT)

    def close(self):
        """End it at once, and leave nothing behind."""
        self._ends.close()

    def _end(self):
        if self._nspawn is None:
            return
        if self._nspawn.poll() is None and self.leader:
            os.kill(self.leader, _HALT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._nspawn.wait(3)
        for cgroup in self.cgroups:
            kill = cgroup / "cgroup.kill"  # cgroup2, Linux 5.14
            if kill.exists():
                kill.write_text("1")
        self._nspawn.kill()
        self._nspawn.wait(LIMIT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _cgroups(lane):
    """The cgroup that we are in, in each hierarchy that a machine of the lane uses."""
    found = []
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            mount = _CGROUP / "unified" if _HYBRID else _CGROUP
        elif controllers == "name=systemd":
            mount = _CGROUP / "systemd"
        elif lane == V1 and controllers in _CONTROLLERS:
            mount = _CGROUP / controllers
        else:
            continue
        found.append(mount / path.lstrip("/"))
    return found


def _locked(directory):
    """A descriptor that says to others that we are using it."""
    fd = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise
    return fd


def _sweep():
    """Remove what is left of machines whose makers were killed."""
    for directory in Path(_PLACE).glob(f"{_PREFIX}*"):
        with contextlib.suppress(BlockingIOError, FileNotFoundError):
            fd = _locked(directory)
            try:
                _discard(directory)
            finally:
                os.close(fd)


def _discard(directory):
    """Remove what a machine that has ended leaves behind."""
    if (directory / "root").is_mount():
        subprocess.run(["umount", "--lazy", directory / "root"], check=True)
    for parent in _cgroups(V1):
        eventually(lambda cgroup=parent / directory.name: _removed(cgroup), f"{directory.name} is empty")
    shutil.rmtree(directory)


def _removed(cgroup):
    for directory, _, _ in os.walk(cgroup, topdown=False):
        with contextlib.suppress(OSError):  # somebody is in it still
            Path(directory).rmdir()
    return not cgroup.exists()
