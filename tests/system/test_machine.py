"""The machines are what the other tests take them for."""

from __future__ import annotations

import subprocess
from pathlib import Path

import base
import pytest
from machine import Machine, eventually

SILENT = 124  # of timeout(1)
CONNECT = "exec 3<>/dev/tcp/127.0.0.1/9"


def in_unit(machine, *words, **properties):
    """Run a command as a real unit with these properties."""
    options = [f"--property={key}={value}" for key, value in properties.items()]
    return machine.run("systemd-run", "--quiet", "--pipe", "--wait", "--collect", *options, *words, check=False)


def test_systemd_is_pid_1_and_everything_has_started(machine):
    assert machine.run("cat", "/proc/1/comm").out == "systemd"
    assert machine.run("systemctl", "--failed", "--plain", "--no-legend").out == ""


def test_nothing_of_debian_listens(machine):
    assert machine.run("ss", "--no-header", "--listening", "--tcp").out == ""


def test_a_denied_address_is_out_of_reach(machine):
    refused = in_unit(machine, "timeout", "1", "bash", "-c", CONNECT)
    denied = in_unit(machine, "timeout", "1", "bash", "-c", CONNECT, IPAddressDeny="any")
    assert (refused.code, denied.code) == (1, SILENT)


@pytest.mark.parametrize(("limit", "fits"), [("50M", False), ("400M", True)])
def test_a_limit_of_memory_holds(limited, limit, fits):
    greedy = ("python3", "-c", "bytearray(200 << 20)")
    assert (in_unit(limited, *greedy, MemoryMax=limit, MemorySwapMax=0).code == 0) is fits


def test_two_machines_do_not_meet_and_leave_nothing(machine, suite):
    machine.put("/etc/only-here", "")
    machine.run("systemd-run", "--quiet", "--unit=only-here", "sleep", "infinity")
    with Machine(base.path(suite), f"{suite}-2") as other:
        assert not (other.root / "etc/only-here").exists()
        assert other.state("only-here.service") == "inactive"
        assert machine.state("only-here.service") == "active"
        directory, cgroups = other.root.parent, other.cgroups
        assert all(cgroup.is_dir() for cgroup in cgroups)
    assert machine.state("only-here.service") == "active"
    assert not directory.exists()
    assert not any(cgroup.exists() for cgroup in cgroups)
    assert str(directory) not in Path("/proc/self/mounts").read_text()
    assert not (base.path(suite) / "etc/only-here").exists()


def test_a_machine_ends_with_the_process_that_made_it(machine, suite):
    """What a test run that was killed has left is removed by the next."""
    program = (
        "import os, sys; sys.path.insert(0, sys.argv[1]); from machine import Machine; import base\n"
        "m = Machine(base.path(sys.argv[2]), 'orphan'); print(m.leader, m.root.parent, *m.cgroups, flush=True)\n"
        "os.kill(os.getpid(), 9)"
    )
    here = str(Path(__file__).parent)
    run = subprocess.run(["python3", "-c", program, here, suite], capture_output=True, text=True, check=False)
    assert run.stdout, run.stderr
    leader, directory, *cgroups = run.stdout.split()
    eventually(lambda: not Path(f"/proc/{leader}").exists(), "the end of the machine")
    Machine(base.path(suite), f"{suite}-3").close()
    assert not Path(directory).exists()
    assert not any(Path(cgroup).exists() for cgroup in cgroups)
    assert machine.run("true").code == 0  # and nobody else's


def test_a_machine_can_be_started_anew(machine):
    booted = machine.run("cat", "/proc/sys/kernel/random/boot_id").out, machine.leader
    machine.put("/etc/stays", "here")
    machine.put("/run/goes", "away")
    machine.reboot()
    assert machine.leader != booted[1]
    assert machine.run("cat", "/etc/stays").out == "here"
    assert not machine.inside("/run/goes").exists()
