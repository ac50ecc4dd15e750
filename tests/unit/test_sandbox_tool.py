"""The sandbox of a site, as lines of its unit and as a drop-in."""

from __future__ import annotations

from pathlib import Path

import pytest

from spyglass_systemd.protocols import unitfile
from spyglass_systemd.tools import sandbox
from spyglass_systemd.tools.places import of_system

UNITS = Path(__file__).parents[2] / "units"
SERVICE = unitfile.parse((UNITS / "spyglass@.service").read_text())
BLOG = of_system().site("blog")


class Manager:
    """Stands in for Systemctl: a unit of these files."""

    def __init__(self, *paths):
        self.paths = [str(path) for path in paths]

    def __call__(self, *, user):
        assert user is False
        return self

    def show(self, unit, *_):
        assert unit == "spyglass@blog.service"
        return {"FragmentPath": self.paths[0] if self.paths else "", "DropInPaths": " ".join(self.paths[1:])}


def test_whatever_the_unit_says_of_the_sandbox_is_kept_in_its_order():
    kept = sandbox.settings(SERVICE)
    keys = [key for _, key, _ in kept]
    assert [value for _, key, value in kept if key == "SystemCallFilter"] == [
        "@system-service",
        "~@privileged @resources",
    ]
    for key in (
        "User",
        "DynamicUser",
        "StateDirectory",
        "ProtectSystem",
        "Slice",
        "UMask",
        "Environment",
        "ProcSubset",
    ):
        assert key in keys


def test_what_is_run_and_how_it_is_watched_is_left_out():
    keys = {key for _, key, _ in sandbox.settings(SERVICE)}
    gone = {key for section, key, _ in SERVICE if section == "Service"} - keys
    assert gone == {
        *("Type", "NotifyAccess", "ExecStart", "ExecReload", "Restart", "RestartSec", "RestartPreventExitStatus"),
        *("WatchdogSec", "TimeoutStopSec", "KillMode", "OOMPolicy", "SyslogIdentifier"),
        *("RuntimeDirectory", "RuntimeDirectoryMode"),
    }


def test_where_programs_may_be_is_the_sandboxs():
    lines = [("Service", key, "/x") for key in ("ExecPaths", "NoExecPaths", "ExecSearchPath", "ExecStartPre")]
    assert sandbox.settings([*lines, ("Unit", "PrivateTmp", "no")]) == lines[:3]


def test_a_drop_in_runs_a_program_last_of_all():
    lines = [("Service", "WorkingDirectory", "/"), ("Service", "Environment", "A=1")]
    text = sandbox.drop_in(lines, ["echo", "$A"], "1f", {"A": "2 %"}, "/srv/50%")
    assert [f"{key}={value}" for _, key, value in unitfile.parse(text)] == [
        "WorkingDirectory=/",
        "Environment=A=1",
        "RuntimeDirectory=spyglass/%i.1f",
        "TimeoutStopSec=10",
        "WorkingDirectory=/srv/50%%",
        'Environment="A=2 %%"',
        "ExecStart=",
        r'ExecStart=:/bin/sh -c "trap : HUP INT QUIT TERM; /usr/bin/env -- \"$@\"; exit $?" "sh" "echo" "$A"',
    ]


def test_the_lines_of_all_files_count_and_the_last_one_most(tmp_path, monkeypatch):
    first, second = tmp_path / "a.service", tmp_path / "b.conf"
    first.write_text("[Service]\nUser=one\nProtectHome=yes\n")
    second.write_text("[Service]\nUser=two\n")
    monkeypatch.setattr(sandbox, "Systemctl", Manager(first, second))
    assert sandbox.last(sandbox.of_service(BLOG).lines, "User") == "two"
    draft = sandbox.of_service(BLOG, str(second), [("Service", "Group", "three")]).lines
    assert [sandbox.last(draft, key) for key in ("User", "Group", "ProtectHome", "Nice")] == ["one", "three", "yes", ""]


def test_a_draft_counts_where_it_will_lie_among_the_others(tmp_path, monkeypatch):
    unit, later = tmp_path / "a.service", tmp_path / "override.conf"
    unit.write_text("[Service]\nUser=one\n")
    later.write_text("[Service]\nUser=three\n")
    monkeypatch.setattr(sandbox, "Systemctl", Manager(unit, later))
    draft = [("Service", "User", "two"), ("Service", "Nice", "2")]
    lines = sandbox.of_service(BLOG, "/etc/systemd/system/spyglass@blog.service.d/50-spyglass.conf", draft).lines
    assert [value for _, _, value in lines] == ["one", "two", "2", "three"]


def test_a_unit_that_is_not_there_or_cannot_be_read_is_told_of(tmp_path, monkeypatch):
    monkeypatch.setattr(sandbox, "Systemctl", Manager())
    with pytest.raises(sandbox.ConfigError, match=r"no unit spyglass@blog\.service"):
        sandbox.of_service(BLOG)
    monkeypatch.setattr(sandbox, "Systemctl", Manager(tmp_path / "gone"))
    with pytest.raises(sandbox.ConfigError, match="cannot be read"):
        sandbox.of_service(BLOG)
    (tmp_path / "odd").write_text("[Service]\nnonsense\n")
    monkeypatch.setattr(sandbox, "Systemctl", Manager(tmp_path / "odd"))
    with pytest.raises(sandbox.ConfigError, match="line 2"):
        sandbox.of_service(BLOG)


def test_a_status_of_systemd_has_a_meaning():
    assert sandbox.cause(200, sandbox.Sandbox(BLOG, ()))[0] == "the working directory cannot be entered"
    assert sandbox.cause(69, sandbox.Sandbox(BLOG, ())) == ("", "")


def test_a_user_or_group_that_is_missing_is_named_with_who_asks_for_it():
    box = sandbox.Sandbox(BLOG, (("Service", "User", "ada"), ("Service", "User", "of-%i")))
    cure = "which file says User= shows `systemctl cat spyglass@blog.service`"
    assert sandbox.cause(217, box) == (
        "there is no user of-blog",
        f"`adduser --system --group of-blog` makes one; {cure}",
    )
    assert sandbox.cause(216, box)[0] == "there is no group of that name"
