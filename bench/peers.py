"""The virtual environment in which everything is measured: ours and the peers side by side, so that interpreter and
Flask are the same. Makes it and keeps it up to date. Knows no command line."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig

from places import BENCH, CACHE, RESULTS, ROOT

VENV = CACHE / "peers"
BIN = VENV / "bin"
PYTHON = BIN / "python"
_REQUIREMENTS = BENCH / "requirements.txt"
_MADE_FROM = VENV / "made-from"
_OURS = VENV / "spyglass-installed"
_SOURCE = CACHE / "bench-source"
_PARTS = ("pyproject.toml", "README.md", "LICENSE", "spyglass_systemd")


def site_packages() -> str:
    """Its site-packages, for the floor, which puts them on its path by itself."""
    return sysconfig.get_path("purelib", "posix_prefix", {"base": str(VENV), "platbase": str(VENV)})


def prepare() -> None:
    """Install the peers where their list has changed, and ours where its source is newer. Raises SystemExit where pip
    fails."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    made_from = f"{VENV} {sys.version}\n{_REQUIREMENTS.read_text()}"
    if not _MADE_FROM.exists() or _MADE_FROM.read_text() != made_from:
        _run(sys.executable, "-m", "venv", "--clear", str(VENV))
        _pip("--requirement", str(_REQUIREMENTS))
        _MADE_FROM.write_text(made_from)
    newest = max(path.stat().st_mtime for path in (ROOT / "spyglass_systemd").rglob("*.py"))
    if not _OURS.exists() or _OURS.stat().st_mtime < newest:
        _install_ours()
        os.utime(_OURS, (newest, newest))  # what has changed since is not in it


def _install_ours() -> None:
    """A real install, as a user has it, and from a copy: a build in the tree would keep modules that are gone."""
    shutil.rmtree(_SOURCE, ignore_errors=True)
    _SOURCE.mkdir(parents=True)
    for part in _PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, _SOURCE / part)
    _pip("--upgrade", "--force-reinstall", "--no-deps", str(_SOURCE))
    _pip(str(_SOURCE))  # now the dependencies that are missing
    _OURS.touch()


def _pip(*arguments: str) -> None:
    _run(str(PYTHON), "-m", "pip", "-q", "--disable-pip-version-check", "install", *arguments)


def _run(*command: str) -> None:
    print(f"bench: {' '.join(command)}", file=sys.stderr, flush=True)
    log = RESULTS / "install.log"
    with log.open("a") as out:
        if subprocess.run(command, stdout=out, stderr=out, check=False).returncode:
            sys.exit(f"bench: this failed; see {log}")
