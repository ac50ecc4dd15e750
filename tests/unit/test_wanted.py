from __future__ import annotations

from dataclasses import replace

import pytest

from spyglass_systemd.tools.places import of_system
from spyglass_systemd.tools.wanted import read
from spyglass_systemd.words.errors import ConfigError


@pytest.fixture
def site(tmp_path):
    return replace(of_system(), config=tmp_path).site("blog")


def test_a_file_that_names_the_app_alone_is_enough(site):
    site.config.write_text('app = "blog:app"\n')
    wanted = read(site)
    assert (wanted.settings.app, wanted.settings.name, wanted.user, wanted.listen) == ("blog:app", "blog", "", ())
    assert wanted.interpreter == "/usr/bin/python3"


def test_what_is_for_the_units_is_read_too(site):
    site.config.write_text('app = "b:a"\nuser = "ada"\npython = "/v/bin/python"\nlisten = ["8000", "admin=unix:/x"]\n')
    wanted = read(site)
    assert (wanted.user, wanted.interpreter) == ("ada", "/v/bin/python")
    assert [str(address) for address in wanted.listen] == ["127.0.0.1:8000", "admin=unix:/x"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "names no app"),
        ("nonsense", "is not TOML"),
        ('app = "b:a"\nlisten = "x y"\n', "listen: 'x y' is not an address"),
        ('app = "b:a"\nidle = 3\nkeepalive = 4\n', "keepalive = 4s is not shorter than idle"),
    ],
)
def test_a_file_that_makes_no_sense_is_named_with_the_reason(site, text, says):
    site.config.write_text(text)
    with pytest.raises(ConfigError, match=says):
        read(site)
