"""The virtual environment in which everything is measured: ours and the peers side by side, so that interpreter and
Flask are the same. `./dev bench` makes it from requirements.txt; here ours is put in. Knows no command line."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig

from places import CACHE, RESULTS, ROOT

VENV = CACHE / "peers"
BIN = VENV / "bin"
PYTHON = BIN / "python"
_SOURCE = CACHE / "bench-source"
_STAMP = VENV / "spyglass-installed"
_PARTS = ("pyproject.toml", "README.md", "LICENSE", "spyglass_systemd")


def site_packages() -> str:
    """Its site-packages, for the floor, which puts them on its path by itself."""
    return sysconfig.get_path("purelib", "posix_prefix", {"base": str(VENV), "platbase": str(VENV)})


def prepare() -> None:
    """Install ours where the source is newer: a real install, without what an editable one adds to each start of the
    interpreter. Raises SystemExit where pip fails."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    if not PYTHON.exists():
        sys.exit(f"bench: {VENV} is missing\n  ./dev bench makes it")
    newest = max(path.stat().st_mtime for path in (ROOT / "spyglass_systemd").rglob("*.py"))
    if _STAMP.exists() and _STAMP.stat().st_mtime >= newest:
        return
    shutil.rmtree(_SOURCE, ignore_errors=True)  # a copy: a build in the tree would keep modules that are gone
    _SOURCE.mkdir(parents=True)
    for part in _PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, _SOURCE / part)
    _pip("--upgrade", "--force-reinstall", "--no-deps", str(_SOURCE))
    _pip(str(_SOURCE))  # now the dependencies that are missing
    _STAMP.touch()
    os.utime(_STAMP, (newest, newest))  # what changed meanwhile is not in it


def _pip(*arguments: str) -> None:
    log = RESULTS / "install.log"
    with log.open("a") as out:
        command = [str(PYTHON), "-m", "pip", "-q", "--disable-pip-version-check", "install", *arguments]
        if subprocess.run(command, stdout=out, stderr=out, check=False).returncode:
            sys.exit(f"bench: {' '.join(command)} failed; see {log}")
