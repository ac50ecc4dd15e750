"""What tests of several modules need: a site with its directories, and no systemd."""

from __future__ import annotations

import os

import pytest

from spyglass_systemd.tools.places import of_user


@pytest.fixture
def site(tmp_path):
    places = of_user({"XDG_CONFIG_HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}, os.getuid(), 255)
    made = places.site("blog")
    places.config.mkdir(exist_ok=True)
    made.config.write_text('app = "blog:app"\n')
    made.runtime.mkdir(parents=True)
    return made
