"""What the Debian package says twice."""

from __future__ import annotations

import re
from pathlib import Path

import spyglass_systemd

ROOT = Path(__file__).parents[2]


def test_the_package_has_the_version_of_the_code():
    first = (ROOT / "debian" / "changelog").read_text().partition("\n")[0]
    assert first == f"spyglass-systemd ({spyglass_systemd.__version__}) unstable; urgency=medium"


def test_the_unit_runs_what_the_package_installs():
    (command,) = re.findall(r"^ExecStart=(.*)$", (ROOT / "units" / "spyglass@.service").read_text(), re.MULTILINE)
    _, _, program, *_ = command.split()
    assert program.startswith("/usr/lib/python3/dist-packages/spyglass_systemd/")
    assert (ROOT / program.removeprefix("/usr/lib/python3/dist-packages/")).is_file()


def test_each_kind_of_documentation_is_installed():
    pages = (ROOT / "debian" / "spyglass-systemd.manpages").read_text().split()
    assert sorted(pages) == sorted(f"packaging/man/{path.name}" for path in (ROOT / "packaging/man").glob("*.[158]"))
    listed = "".join(path.read_text() for path in (ROOT / "debian").glob("spyglass-systemd.*"))
    missing = [path.name for path in (ROOT / "packaging").glob("completions/*") if path.name not in listed]
    assert missing == []
