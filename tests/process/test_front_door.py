from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

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


# ### Standard streams


def ended(command, tmp_path, **streams):
    """The exit status and stderr of a line of shell in which $SPYGLASS is the program, for a user who has nothing."""
    environ = os.environ | {"SPYGLASS": f"{sys.executable} -P {MAIN}"}
    environ |= {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    done = subprocess.run(
        ["bash", "-c", command], env=environ, stderr=subprocess.PIPE, text=True, check=False, timeout=30, **streams
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("words", ["version", "--help", "help serve", "serve --help", "new --help"])
@pytest.mark.parametrize(("to", "why"), [(">/dev/full", "No space left on device"), (">&-", "Bad file descriptor")])
def test_an_output_that_cannot_be_written_is_one_line(tmp_path, words, to, why):
    said = f"spyglass: standard output cannot be written: {why}\n"
    assert ended(f"$SPYGLASS {words} {to}", tmp_path) == (74, said)


def test_an_output_that_nobody_reads_any_more_is_no_error(tmp_path):
    assert ended("set -o pipefail; $SPYGLASS --help | true", tmp_path)[0] in {0, 141}
    assert ended("$SPYGLASS --help | true", tmp_path)[1] == ""


def test_an_input_that_is_closed_says_nothing(tmp_path):
    (tmp_path / "spyglass").mkdir()
    (tmp_path / "spyglass/blog.toml").write_text('app = "blog:app"\n')
    (tmp_path / "systemctl").write_text("#!/bin/sh\necho systemd 255\n")
    (tmp_path / "systemctl").chmod(0o755)
    code, said = ended(f"PATH={tmp_path}:$PATH; $SPYGLASS remove blog --user <&-", tmp_path, stdout=subprocess.DEVNULL)
    assert (code, said) == (64, "spyglass: nobody is there to say yes\n  --yes removes without asking\n")
