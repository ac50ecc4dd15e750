"""Whether an interpreter can run an app: what to say of what stands there. Judges, and looks at nothing itself."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from spyglass_systemd.words.errors import ConfigError
from spyglass_systemd.words.versions import family

if TYPE_CHECKING:
    from spyglass_systemd.tools.interpreter import Interpreter

_LEAST = (3, 11)
_CURES = {
    "pyenv": "`pyenv which python` prints the interpreter behind it; better, make a virtual environment with that",
    "asdf": "`asdf which python` prints the interpreter behind it; better, make a virtual environment with that",
    "mise": "`mise which python` prints the interpreter behind it; better, make a virtual environment with that",
    "rye": "name .venv/bin/python of the project",
    "uv": "name .venv/bin/python of the project, or what `uv python find` prints",
    "poetry": "name what `poetry env info --executable` prints",
    "pipenv": "name what `pipenv --py` prints",
    "hatch": "name bin/python in the directory that `hatch env find` prints",
}


def judge(python: Interpreter, kind: str, ours: str, typed: str) -> None:
    """Raises ConfigError for what keeps `python` from running the app of `site`. `ours` is our own version."""
    if not python.target:
        raise _gone(python)
    if python.launcher:
        raise ConfigError(
            f"{python.path} only starts an interpreter ({python.launcher}), and the listeners are for the process that "
            "systemd starts (LISTEN_PID)",
            hint=_CURES.get(python.launcher, "name the interpreter itself, as in /srv/blog/venv/bin/python"),
        )
    if python.version and _numbers(python.version) < _LEAST:
        raise ConfigError(
            f"{python.path} is Python {python.version}, and 3.11 is the oldest that works",
            hint="make an environment with a newer one",
        )
    if python.venv and python.made_for and python.version not in {"", python.made_for}:
        raise ConfigError(
            f"{python.venv} was made for Python {python.made_for}, and its python is {python.version} now: what is "
            "installed there is out of its sight",
            hint=f"`{python.target} -m venv --clear {python.venv}`, then install the app's packages again",
        )
    _judge_packages(python, kind, ours, typed)


def _gone(python: Interpreter) -> ConfigError:
    if os.path.islink(python.path):
        return ConfigError(
            f"{python.path} leads to {os.path.realpath(python.path)}, which is not there",
            hint="the Python that it was made with has gone: make the environment anew, and install the app's packages",
        )
    return ConfigError(
        f"python = {python.path}: there is no such program", hint="name bin/python of the app's virtual environment"
    )


def _judge_packages(python: Interpreter, kind: str, ours: str, typed: str) -> None:
    there = python.packages
    theirs = there.get("spyglass_systemd", "")
    if not theirs:
        raise ConfigError(f"{python.path} has no spyglass-systemd", hint=install_hint(python, typed))
    if family(ours) != family(theirs):
        raise ConfigError(
            f"{python.path} has spyglass-systemd {theirs}, and here is {ours}: units and options of the one are not "
            "those of the other",
            hint=install_hint(python, typed),
        )
    if not there.keys() & {"cysystemd", "systemd_python"}:
        raise ConfigError(f"{python.path} has no library that speaks to systemd", hint=_missing(python, "cysystemd"))
    if "httptools" not in there:
        raise ConfigError(f"{python.path} has no httptools", hint=_missing(python, "httptools"))
    if kind == "asgi" and "uvicorn" not in there:
        raise ConfigError(
            f"{python.path} has no uvicorn, which serves ASGI", hint=_missing(python, "'spyglass-systemd[asgi]'")
        )


def install_hint(python: Interpreter, typed: str) -> str:
    """How our runtime comes into it. `typed` is Site.typed."""
    if not python.venv:
        return "apt install python3-spyglass-systemd; or set python= to bin/python of the app's virtual environment"
    return f"spyglass enable {typed} --install"


def _missing(python: Interpreter, what: str) -> str:
    if python.venv:
        return f"{python.path} -m pip install {what}"
    package = {"cysystemd": "systemd", "httptools": "httptools"}.get(what, "uvicorn")
    return f"apt install python3-{package}"


def _numbers(version: str) -> tuple[int, ...]:
    parts = version.partition("+")[0].split(".")
    return tuple(int(part) if part.isdecimal() else -1 for part in parts[:3])
