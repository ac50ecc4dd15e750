"""The program itself, or one that stands in its place on the PATH."""

from __future__ import annotations

import pytest

from spyglass_systemd.protocols.systemctl import Systemctl
from spyglass_systemd.words.errors import ManagerError


def test_its_output_is_taken_without_colours_and_pager(tmp_path, monkeypatch):
    program = tmp_path / "systemctl"
    program.write_text('#!/bin/sh\necho "Id=$SYSTEMD_COLORS$SYSTEMD_PAGER$*"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert Systemctl().show("a.service", "Id") == {"Id": "0--no-ask-password show --property=Id -- a.service"}


def test_where_there_is_no_systemd_it_says_what_needs_none(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ManagerError, match="no systemctl here") as caught:
        Systemctl().do("daemon-reload")
    assert "lookout" in caught.value.hint
