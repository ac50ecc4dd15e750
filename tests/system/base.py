"""The root file systems that test machines start from: one a Debian release, made once and cached. Boots nothing.

Run as a program it makes those that are missing. What is in them is listed below; a change of these lists, and nothing
else, makes them anew. They hold all that a test installs, because a machine has no network.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

CACHE = Path("/var/cache/spyglass-machines")
SUITES = {"bookworm": "3.11", "trixie": "3.13"}  # Debian 12 and 13, and the Python of each
PACKAGES = (
    "systemd,systemd-sysv,dbus,dbus-user-session,libpam-systemd,libnss-systemd,procps,iproute2,ca-certificates,curl",
    "python3,python3-venv,python3-systemd,python3-httptools,python3-click,python3-rich",
    "python3-flask,python3-django,python3-psycopg2,uvicorn",
    "nginx-light,caddy,postgresql",
)
# What an app's own virtual environment gets from the Python package index.
WHEELS = ("cysystemd", "httptools", "click", "rich", "flask", "django", "uvicorn", "websockets")
IN_BASE = "opt/wheels"  # where they lie in a machine
# One that is ready for our own wheel, because making it takes longer than anything else.
_VENV = "python3 -m venv /opt/venv && /opt/venv/bin/pip install -qq --no-index --find-links=/opt/wheels " + " ".join(
    WHEELS
)

# Services that Debian starts because they are installed, and timers that would do their work during a test.
_ASLEEP = "nginx.service caddy.service caddy-api.service postgresql.service"
_NEVER = (
    "apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer logrotate.timer"
    " man-db.timer systemd-tmpfiles-clean.timer"
)
_FINISH = (  # a line of shell, $1 is the new root
    "printf '127.0.0.1 localhost\\n::1 localhost\\n' >$1/etc/hosts && printf 'uninitialized\\n' >$1/etc/machine-id"
    f" && mkdir -p $1/var/log/journal && systemctl --quiet --root=$1 disable {_ASLEEP}"
    f" && for unit in {_NEVER}; do ln -sf /dev/null $1/etc/systemd/system/$unit; done"
    " && rm -rf $1/var/cache/apt/archives/*.deb $1/var/lib/apt/lists/*"
)


def stamp(suite: str) -> str:
    """What the base of `suite` is made of, in a few letters."""
    recipe = repr((suite, SUITES[suite], PACKAGES, WHEELS, _FINISH, _VENV))
    return hashlib.sha256(recipe.encode()).hexdigest()[:12]


def path(suite: str) -> Path:
    """Where the base of `suite` lies, if it is there."""
    return CACHE / f"{suite}-{stamp(suite)}"


def why_not() -> str:
    """Why this machine cannot boot another one; "" if it can."""
    if os.geteuid():
        return "only root can boot a machine"
    for program, package in (("systemd-nspawn", "systemd-container"), ("nsenter", "util-linux")):
        if not shutil.which(program):
            return f"there is no {program}: apt-get install {package}"
    missing = [suite for suite in SUITES if not path(suite).is_dir()]
    if missing:
        return f"there is no base of {' and '.join(missing)} yet: `./dev system` makes it"
    probe = (
        "mount -t tmpfs none /mnt && mkdir /mnt/u /mnt/w /mnt/r"
        f" && mount -t overlay none -o lowerdir={path('trixie')},upperdir=/mnt/u,workdir=/mnt/w /mnt/r"
    )
    tried = subprocess.run(["unshare", "-m", "sh", "-c", probe], capture_output=True, text=True, check=False)
    return f"this machine may not mount an overlay: {tried.stderr.strip()}" if tried.returncode else ""


def make(suite: str) -> Path:
    """Make the base of `suite` unless it is there. Raises CalledProcessError where a tool fails."""
    found = path(suite)
    CACHE.mkdir(mode=0o755, exist_ok=True)
    with (CACHE / f"{suite}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two checkouts may want it at once
        if found.is_dir():
            return found
        began = time.monotonic()
        sys.stderr.write(f"Making a base of Debian {suite} ...\n")
        for old in CACHE.glob(f"{suite}-*"):
            _remove(old)
        draft = CACHE / f"{suite}-{stamp(suite)}.part"
        subprocess.run(
            [
                "mmdebstrap",
                "--quiet",
                "--variant=minbase",
                *[f"--include={packages}" for packages in PACKAGES],
                f"--customize-hook={_FINISH}",
                suite,
                str(draft),
                *_mirror(),
            ],
            check=True,
            stdin=subprocess.DEVNULL,
        )
        _download(draft / IN_BASE, SUITES[suite])
        subprocess.run(["chroot", draft, "sh", "-c", _VENV], check=True, stdin=subprocess.DEVNULL)
        draft.rename(found)
        sys.stderr.write(f"  took {time.monotonic() - began:.0f} s: {found}\n")
    return found


def _mirror() -> list[str]:
    """Where this machine's apt has Debian from, whatever its release; [] leaves it to mmdebstrap."""
    asked = ["apt-get", "indextargets", "--format", "$(LABEL) $(REPO_URI)", "Created-By: Packages"]
    with contextlib.suppress(OSError):
        for line in subprocess.run(asked, capture_output=True, text=True, check=False).stdout.splitlines():
            label, _, uri = line.partition(" ")
            if label == "Debian":
                return [uri]
    return []


def _download(directory: Path, python: str) -> None:
    tags = [f"manylinux_2_{minor}_{platform.machine()}" for minor in (34, 28, 17)]
    subprocess.run(
        [
            *[sys.executable, "-m", "pip", "download", "-qq", "--disable-pip-version-check", "--no-input"],
            *["--only-binary=:all:", f"--python-version={python}", "--implementation=cp"],
            *[f"--platform={tag}" for tag in tags],
            *["--dest", str(directory), *WHEELS],
        ],
        check=True,
        stdin=subprocess.DEVNULL,
    )


def _remove(old: Path) -> None:
    """Away with it, unless a machine runs on it."""
    with contextlib.suppress(BlockingIOError), contextlib.ExitStack() as stack:
        fd = os.open(old, os.O_RDONLY)
        stack.callback(os.close, fd)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(old)


if __name__ == "__main__":
    for each in sys.argv[1:] or SUITES:
        make(each)
