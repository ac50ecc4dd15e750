from __future__ import annotations

from dataclasses import replace

import pytest

from spyglass_systemd.protocols.unitfile import parse
from spyglass_systemd.tools.dropins import dropins
from spyglass_systemd.tools.places import of_system
from spyglass_systemd.tools.wanted import Wanted
from spyglass_systemd.words.addresses import parse_address
from spyglass_systemd.words.options import Settings

PROGRAM = ("-P", "/srv/blog/venv/main.py")
SERVICE = "/etc/systemd/system/spyglass@blog.service.d/50-spyglass.conf"


def texts(*listen, user="", python="", of_user=False, credentials=(), files=(), **settings):
    site = replace(of_system(), user=of_user).site("blog")
    addresses = tuple(map(parse_address, listen))
    wanted = Wanted(
        site,
        Settings(**{"app": "b:a", "chdir": "/srv/blog", **settings}),
        user,
        python,
        "www-data",
        addresses,
        dict(credentials),
        files,
    )
    return {str(path): text for path, text in dropins(wanted, PROGRAM).items()}


def of_service(**more):
    return [f"{key}={value}" for _, key, value in parse(texts(**more).get(SERVICE, ""))]


def test_a_site_that_wants_nothing_else_has_no_drop_in():
    assert texts() == {}


def test_a_drop_in_says_who_wrote_it_and_where_to_change_it():
    (text,) = texts("8000").values()
    assert text.startswith("# Written by `spyglass enable blog` from /etc/spyglass/blog.toml: change that")
    assert "`systemctl edit spyglass@blog.socket`" in text
    (text,) = texts("8000", of_user=True).values()
    assert "`systemctl --user edit spyglass@blog.socket`" in text


def test_a_python_of_its_own_takes_the_place_of_debians():
    assert of_service(python="/srv/blog/my venv/bin/python") == [
        "ExecStart=",
        (
            'ExecStart="/srv/blog/my venv/bin/python" -P /srv/blog/venv/main.py serve'
            " --config /etc/spyglass/blog.toml --name blog"
        ),
    ]


def test_debians_python_is_named_where_it_is_told_something():
    wanted = Wanted(of_system().site("blog"), Settings(app="b:a", chdir="/srv/blog"), "", "", "www-data", ())
    (text,) = dropins(wanted, ("-X", "pycache_prefix=/var/cache/spyglass/blog/bytecode", "-P", "/x.py")).values()
    assert "\nExecStart=/usr/bin/python3 -X pycache_prefix=/var/cache/spyglass/blog/bytecode -P /x.py serve " in text


def test_a_user_that_is_named_is_a_fixed_one():
    assert of_service(user="ada") == ["DynamicUser=no", "User=ada"]


def test_secrets_are_read_by_systemd():
    assert of_service(credentials={"key": "/etc/keys/50%"}, files=("/etc/a.env", "-/etc/b.env")) == [
        "LoadCredential=key:/etc/keys/50%%",
        "EnvironmentFile=/etc/a.env",
        "EnvironmentFile=-/etc/b.env",
    ]


@pytest.mark.parametrize(
    ("drain", "lines"), [(25.0, []), (25.5, ["TimeoutStopSec=41"]), (120.0, ["TimeoutStopSec=135"])]
)
def test_stopping_takes_longer_than_the_drain(drain, lines):
    assert of_service(drain=drain) == lines


@pytest.mark.parametrize(
    ("more", "hidden"),
    [
        ({"chdir": "/home/ada/blog"}, True),
        ({"chdir": "/root"}, True),
        ({"chdir": "/homes/ada"}, False),
        ({"pythonpath": ("/home/ada/lib",)}, True),
        ({"pythonpath": ("../../home/ada/lib",)}, True),
        ({"python": "/home/ada/venv/bin/python"}, True),
        ({"chdir": "/home/ada/blog", "of_user": True}, False),
    ],
)
def test_home_directories_are_shown_to_an_app_that_lives_there(more, hidden):
    assert ("ProtectHome=read-only" in of_service(**more)) is hidden


def test_a_link_into_a_home_directory_leads_there(tmp_path):
    (tmp_path / "blog").symlink_to("/home/ada/blog")
    assert of_service(chdir=str(tmp_path / "blog")) == ["ProtectHome=read-only"]


def test_several_sockets_are_named_to_the_service_that_has_them():
    found = texts("8000", "admin=8001")
    assert sorted(path.rpartition("system/")[2] for path in found) == [
        "spyglass@blog.admin.socket.d/50-spyglass.conf",
        "spyglass@blog.service.d/50-spyglass.conf",
        "spyglass@blog.socket.d/50-spyglass.conf",
    ]
    assert ("Service", "Sockets", "spyglass@blog.socket spyglass@blog.admin.socket") in parse(found[SERVICE])
