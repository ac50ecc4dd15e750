"""What tests of several modules share."""

from __future__ import annotations

import pytest
from hypothesis import settings

import spyglass_systemd.sd as port

settings.register_profile("patient", deadline=None)  # a busy machine is no failure
settings.load_profile("patient")

_MODULES = {port.SYSTEMD_PYTHON: "systemd._daemon", port.CYSYSTEMD: "cysystemd._daemon"}


@pytest.fixture(params=sorted(_MODULES))
def sd(request, monkeypatch):
    """Runs the test with each of the two libraries behind the port; its name, which child processes inherit too."""
    pytest.importorskip(_MODULES[request.param], exc_type=ImportError)
    monkeypatch.setenv(port.FORCE, request.param)
    monkeypatch.setattr(port, "_chosen", None)
    return request.param
