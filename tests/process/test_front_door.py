from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import spyglass_systemd

MAIN = Path(spyglass_systemd.__file__).parent / "__main__.py"


def output(*argv):
    return subprocess.run([sys.executable, "-P", *argv], capture_output=True, text=True, check=True, timeout=30).stdout


def test_the_program_runs_by_file_and_by_name():
    assert output(MAIN, "version") == output("-m", "spyglass_systemd", "version") == "spyglass-systemd 0.1.0\n"


def test_what_stands_before_serve_imports_next_to_nothing():
    program = """
import sys, types
sys.modules["spyglass_systemd.processes.serve"] = stub = types.ModuleType("serve")
before = set(sys.modules)
stub.run = lambda argv: print(*sorted(set(sys.modules) - before))
from spyglass_systemd.cli.main import main
main(["serve", "a:b"])
"""
    assert set(output("-c", program).split()) <= {
        "__future__",
        "spyglass_systemd",
        "spyglass_systemd.cli",
        "spyglass_systemd.cli.main",
        "spyglass_systemd.processes",
        "spyglass_systemd.protocols",
        "spyglass_systemd.protocols.imports",
        "spyglass_systemd.words",
        "spyglass_systemd.words.errors",
    }


def test_options_and_their_table_import_nothing_else():
    program = """
import sys
before = set(sys.modules)
from spyglass_systemd.words.options import parse_flags, settle
settle(parse_flags(["--idle", "5min", "a:b"], "serve")[0], {})
print(*[name for name in set(sys.modules) - before if not name.startswith("spyglass_systemd")])
"""
    assert set(output("-c", program).split()) <= {"__future__", "_socket"}  # which activation needs anyway


def test_a_subreaper_is_still_one_after_exec():
    asks = "import ctypes; n = ctypes.c_int(); ctypes.CDLL(None).prctl(37, ctypes.byref(n)); print(n.value)"
    program = f"""
import os, sys
from spyglass_systemd.cli.lookout import _become_subreaper
_become_subreaper()
os.execv(sys.executable, [sys.executable, "-c", {asks!r}])
"""
    assert output("-c", program) == "1\n"
