from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from spyglass_systemd.protocols.unitfile import parse
from spyglass_systemd.tools.places import of_system
from spyglass_systemd.tools.rendering import merged, render
from spyglass_systemd.tools.units import SHIPPED, template
from spyglass_systemd.tools.wanted import Wanted
from spyglass_systemd.words.addresses import parse_address
from spyglass_systemd.words.options import Settings


def rendered(*listen, user=False, python="/srv/blog/venv/bin/python"):
    site = replace(of_system(), user=user).site("blog")
    addresses = tuple(map(parse_address, listen))
    return render(Wanted(site, Settings(app="b:a", chdir="/srv/blog"), "ada", python, "www-data", addresses))


def test_the_templates_are_part_of_the_package():
    for kind in ("socket", "service"):
        for user in (False, True):
            assert f"spyglass@.{kind}" in {path.name for path in SHIPPED.iterdir()}
            assert parse(template(kind, user=user))


@pytest.mark.parametrize("user", [False, True])
def test_a_pair_stands_alone(user):
    files = rendered("8000", user=user)
    assert list(files) == ["spyglass-blog.socket", "spyglass-blog.service"]
    for name, text in files.items():
        lines = {(section, key): value for section, key, value in parse(text)}
        assert not [value for value in lines.values() if "%i" in value or "spyglass@b" in value]
        assert "NAME" not in text
        assert "man:" not in text
        assert f"systemctl {'--user ' * user}enable --now spyglass-blog.socket" in text
        if name.endswith("service"):
            assert lines["Unit", "Requires"] == "spyglass-blog.socket"
            assert lines["Service", "ExecStart"].startswith("/srv/blog/venv/bin/python -P ")
            assert ("Service", "ExecStart", "") not in parse(text)
        else:
            assert lines["Socket", "ListenStream"] == "127.0.0.1:8000"


def test_what_is_said_anew_is_said_once_and_the_reason_for_the_other_goes():
    text = rendered()["spyglass-blog.service"]
    assert [value for _, key, value in parse(text) if key == "User"] == ["ada"]
    assert "Each app is a user of its own" not in text
    assert "# One worker out of memory is one worker to replace.\nOOMPolicy=continue" in text


def test_further_listeners_come_with_it():
    files = rendered("8000", "admin=8001")
    assert list(files) == ["spyglass-blog.socket", "spyglass-blog.admin.socket", "spyglass-blog.service"]
    assert ("Socket", "Service", "spyglass-blog.service") in parse(files["spyglass-blog.admin.socket"])
    assert ("Service", "Sockets", "spyglass-blog.socket spyglass-blog.admin.socket") in parse(
        files["spyglass-blog.service"]
    )


def test_without_a_python_it_is_ours_where_we_are_in_an_environment(monkeypatch):
    assert f"ExecStart={sys.executable} -P " in rendered(python="")["spyglass-blog.service"]
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    assert "ExecStart=/usr/bin/python3 -P " in rendered(python="")["spyglass-blog.service"]


def test_a_list_grows_and_a_new_key_ends_its_section():
    text = "[Unit]\nA=1\n\n[Service]\n# why\nEnvironment=X=1\nB=1\n\n[Install]\nC=1\n"
    lines = (("Service", "Environment", "Y=2"), ("Service", "D", "2"), ("Unit", "A", ""), ("Unit", "A", "2"))
    assert merged(text, lines) == (
        "[Unit]\nA=2\n\n[Service]\n# why\nEnvironment=X=1\nB=1\nEnvironment=Y=2\nD=2\n\n[Install]\nC=1\n"
    )


def test_where_a_user_puts_units_is_made_first():
    text = rendered(user=True)["spyglass-blog.socket"]
    assert f"#     mkdir -p {of_system().units} && cp spyglass-blog* {of_system().units}\n" in text
    assert "mkdir" not in rendered()["spyglass-blog.socket"]
