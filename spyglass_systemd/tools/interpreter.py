"""What a Python is, told by its files alone: nothing of it is run, because whoever owns it is nobody to trust.

A virtual environment belongs to an app's owner, and he may put anything there: every name below it is read as hostile.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field

from spyglass_systemd.tools.foreign import first

_SIZE = 64 * 1024  # bytes of a file that we look at
_NAMES = 20_000  # of a directory
_ELF = b"\x7fELF"
_A_PYTHON = re.compile(r"(?:python|pypy|graalpy)\d*(?:\.\d+)*t?d?")
_A_VERSION = re.compile(r"(\d+)\.(\d+)")
_INSTALLED = re.compile(r"(?P<name>[\w.]+?)-(?P<version>\d[\w.+!]*?)(?:-py\d[\d.]*)?\.(?:dist|egg)-info")
_OF_DEBIAN = "/usr/lib/python3/dist-packages"
# What starts an interpreter instead of being one, by what is in its script or in the name it leads to.
_LAUNCHERS = ("pyenv", "asdf", "mise", "rye", "uv", "poetry", "pipenv", "conda", "hatch")


@dataclass(frozen=True)
class Interpreter:
    """What `path` is. `target` is where its links end, `version` that file's "3.11"; "" where they cannot be told.

    `venv` is the directory of the virtual environment, "" for none, and `made_for` the version that it was made for.
    `launcher` is the name of what only starts an interpreter. `packages` are the installed ones with their versions,
    names in lower case with `_`.
    """

    path: str
    target: str = ""
    version: str = ""
    venv: str = ""
    made_for: str = ""
    launcher: str = ""
    packages: dict[str, str] = field(default_factory=dict)


def look(path: str) -> Interpreter:
    """The interpreter at `path`, without running it."""
    target = os.path.realpath(path)
    head = first(target, _SIZE)
    launcher = _launcher(target, head)
    venv, settings = _venv_of(path)
    made_for = _version(settings.get("version") or settings.get("version_info") or "")
    version = "" if launcher else _version(os.path.basename(target).lstrip("abcdefghijklmnopqrstuvwxyz"))
    folders = [f"{venv}/lib/python{made_for}/site-packages"] if venv else []
    if not venv or settings.get("include-system-site-packages") == "true":
        folders += [_OF_DEBIAN] if target.startswith("/usr/bin/") else []
        folders += [f"{os.path.dirname(os.path.dirname(target))}/lib/python{version}/site-packages"]
    packages: dict[str, str] = {}
    for folder in folders:
        packages = _installed(folder) | packages
    return Interpreter(path, target if head else "", version, venv, made_for, launcher, packages)


def normal(name: str) -> str:
    """The name of a distribution as it stands in file names: the binary distribution format, PEP 503."""
    return re.sub(r"[-_.]+", "_", name).lower()


def _launcher(target: str, head: bytes) -> str:
    """What stands in an interpreter's place: the name of a known launcher, else `script` or the program's own name."""
    if head.startswith(b"#!"):
        text = head.decode(errors="replace")
        return next((name for name in _LAUNCHERS if re.search(rf"\b{name}\b", text)), "script")
    name = os.path.basename(target)
    return "" if not head.startswith(_ELF) or _A_PYTHON.fullmatch(name) else name


def _venv_of(path: str) -> tuple[str, dict[str, str]]:
    """The environment that `path` is in, as Python finds it (PEP 405), and what its pyvenv.cfg says."""
    here = os.path.dirname(os.path.abspath(path))
    for directory in (here, os.path.dirname(here)):
        text = first(f"{directory}/pyvenv.cfg", _SIZE).decode(errors="replace")
        if text:
            pairs = (line.partition("=")[::2] for line in text.splitlines())
            return directory, {key.strip().lower(): value.strip().lower() for key, value in pairs}
    return "", {}


def _version(text: str) -> str:
    found = _A_VERSION.match(text)
    return f"{found[1]}.{found[2]}" if found else ""


def _installed(folder: str) -> dict[str, str]:
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry, _ in zip(entries, range(_NAMES), strict=False)]
    except OSError:
        return {}
    matches = (_INSTALLED.fullmatch(name) for name in names)
    return {normal(found["name"]): found["version"] for found in matches if found}
