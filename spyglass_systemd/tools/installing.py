"""Puts our runtime into an app's virtual environment, with the environment's own pip, as its owner."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from spyglass_systemd import __version__ as ours
from spyglass_systemd.tools import owner
from spyglass_systemd.tools.interpreter import look
from spyglass_systemd.words.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

WHEELS = "/usr/share/spyglass-systemd/wheels"  # our own, the very same as this program; the package puts it there
_TOLD = 20  # lines of what pip said


def install(python: str, kind: str, links: Sequence[str] = ()) -> str:
    """Install the runtime into the environment of `python`; the version that is there then.

    What it needs comes from the package index that pip is configured for, or only from the directories `links`.
    Raises ConfigError where that fails, with pip's own words.
    """
    there = look(python)
    if not there.venv or there.launcher or not there.target:
        raise ConfigError(
            f"{python} is not in a virtual environment, so nothing is installed there",
            hint="make one (python3 -m venv DIR) and name its bin/python as python=; or use python3-spyglass-systemd",
        )
    if "pip" not in there.packages:
        raise ConfigError(
            f"{there.venv} has no pip",
            hint=f"uv pip install --python {python} --find-links {WHEELS} spyglass-systemd=={ours}; "
            f"or {python} -m ensurepip first",
        )
    links = [os.path.abspath(link) for link in links]
    for link in links:
        if not os.path.isdir(link):
            raise ConfigError(f"{link} is no directory", hint="--find-links DIR is one with wheels (pip download)")
    done = owner.run(there.venv, command(python, kind, links), network=not links, reads=links)
    if done.returncode:
        said = "\n".join(f"{done.stdout}{done.stderr}".strip().splitlines()[-_TOLD:])
        hint = _LINKS if links else _OFFLINE
        raise ConfigError(f"pip could not install spyglass-systemd into {there.venv}:\n{said}", hint=hint)
    return look(python).packages.get("spyglass_systemd", "")


_LINKS = "has DIR of --find-links wheels of all that it needs, for this Python, and may its owner read them?"
_OFFLINE = (
    "a host without a network needs --find-links DIR, with wheels of what it needs (pip download spyglass-systemd)"
)


def command(python: str, kind: str, links: Sequence[str]) -> list[str]:
    """The pip that does it. Version by version the same as this program, so that both sides know the same options."""
    wanted = f"spyglass-systemd{'[asgi]' if kind == 'asgi' else ''}=={ours}"
    places = [WHEELS, *links] if os.path.isdir(WHEELS) else list(links)
    return [
        *[
            python,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-input",
            "--disable-pip-version-check",
            "--no-cache-dir",
            "--retries=1",
        ],
        *(["--no-index"] if links else []),
        *[f"--find-links={place}" for place in places],
        wanted,
    ]
