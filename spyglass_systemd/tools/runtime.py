"""Where the runtime is that an interpreter finds: our package in its virtual environment. Runs no interpreter."""

from __future__ import annotations

import os
from pathlib import Path

_MAIN = "spyglass_systemd/__main__.py"

# ### Why its file?
# `python FILE` is `python -m` without runpy, and four milliseconds faster at each wake. Where it is not in the place
# where pip puts it, as after `pip install --editable`, the module's name does as well.


def program(python: str) -> tuple[str, ...]:
    """The words between `python` and `serve`."""
    return ("-P", *([str(file)] if (file := installed(python)) else ["-m", "spyglass_systemd"]))


def installed(python: str) -> Path | None:
    """The runtime's file in the virtual environment that `python` belongs to; None where there is none."""
    root = Path(os.path.abspath(python)).parent.parent  # not resolved: the interpreter of an environment is a link
    return next(iter(sorted(root.glob(f"lib/python3*/site-packages/{_MAIN}"))), None)
