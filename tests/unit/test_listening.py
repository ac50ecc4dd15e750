from __future__ import annotations

from dataclasses import replace

import pytest

from spyglass_systemd.tools.listening import listening
from spyglass_systemd.tools.places import of_system
from spyglass_systemd.tools.wanted import Wanted
from spyglass_systemd.words.addresses import parse_address
from spyglass_systemd.words.errors import ConfigError
from spyglass_systemd.words.options import Settings

SYSTEM = of_system()


def wanted(*listen, user=False, group="www-data", **settings):
    places = replace(SYSTEM, user=user)
    addresses = tuple(map(parse_address, listen))
    return Wanted(places.site("blog"), Settings(**{"app": "b:a", **settings}), "", "", group, addresses)


def lines(*listen, **more):
    (unit,) = listening(wanted(*listen, **more))
    return [f"{key}={value}" for _, key, value in unit.lines]


def test_without_an_address_the_template_says_all():
    assert lines() == []
    (unit,) = listening(wanted())
    assert (unit.unit, unit.name) == ("spyglass@blog.socket", "http")


def test_tcp_takes_back_the_unix_socket_and_has_options_of_tcp():
    assert lines("8000") == ["ListenStream=", "ListenStream=127.0.0.1:8000", "NoDelay=yes"]


def test_ipv6_leaves_ipv4_to_others():
    assert lines("*:80", "[::]:80") == [
        "ListenStream=",
        "ListenStream=0.0.0.0:80",
        "ListenStream=[::]:80",
        "BindIPv6Only=ipv6-only",
        "NoDelay=yes",
    ]


def test_beside_a_unix_socket_there_is_no_option_of_tcp():
    """systemd would warn at each start."""
    said = lines("unix:/run/b.sock", "8000")
    assert said == ["ListenStream=", "ListenStream=/run/b.sock", "ListenStream=127.0.0.1:8000"]


@pytest.mark.parametrize(("kind", "deferred"), [("wsgi", True), ("asgi", True), ("raw", False), ("auto", False)])
def test_a_silent_connection_wakes_nobody_unless_the_server_may_speak_first(kind, deferred):
    assert ("DeferAcceptSec=3" in lines("8000", kind=kind, header_timeout=2.5)) is deferred


def test_a_listeners_own_app_says_its_kind():
    leads = {"admin": {"app": "b:admin", "kind": "raw"}, "http": {"app": "b:a"}}
    for name in ("http", "admin"):
        units = listening(wanted("http=8000", "admin=8001", kind="wsgi", listeners=leads))
        (unit,) = [unit for unit in units if unit.name == name]
        assert not [key for _, key, _ in unit.lines if key == "DeferAcceptSec"]


def test_a_group_other_than_the_usual_is_named_for_unix_sockets_of_the_system():
    assert lines(group="caddy") == ["SocketGroup=caddy"]
    assert lines("8000", group="caddy")[-1] == "NoDelay=yes"
    assert lines(group="caddy", user=True) == []


def test_each_name_has_a_unit_and_all_have_one_service():
    one, two = listening(wanted("8000", "admin=8001", "8002"))
    assert (one.unit, [str(address) for address in one.addresses]) == (
        "spyglass@blog.socket",
        ["127.0.0.1:8000", "127.0.0.1:8002"],
    )
    assert two.unit == "spyglass@blog.admin.socket"
    assert two.lines == (
        ("Unit", "Description", "Listener admin of the web app blog"),
        ("Unit", "AssertPathExists", ""),
        ("Unit", "AssertPathExists", "/etc/spyglass/blog.toml"),
        ("Socket", "ListenStream", ""),
        ("Socket", "ListenStream", "127.0.0.1:8001"),
        ("Socket", "FileDescriptorName", "admin"),
        ("Socket", "NoDelay", "yes"),
        ("Socket", "Service", "spyglass@blog.service"),
    )


def test_the_first_name_is_that_of_the_sites_own_unit():
    (unit,) = listening(wanted("admin=unix:/run/50%.sock"))
    assert unit.unit == "spyglass@blog.socket"
    assert unit.lines == (
        ("Socket", "ListenStream", ""),
        ("Socket", "ListenStream", "/run/50%%.sock"),
        ("Socket", "FileDescriptorName", "admin"),
    )


@pytest.mark.parametrize(
    ("listen", "settings", "says"),
    [
        (["a b=8000"], {}, "no unit can be called 'a b'"),
        (["example.org:80"], {}, "resolves no host names"),
        (["0"], {}, "any free port"),
        (["unix:b.sock"], {}, "wants the whole path"),
        (["unix:/run/spyglass/blog/b.sock"], {}, "goes each time the app falls asleep"),
        (["8000"], {"listeners": {"admin": {"app": "b:a"}}}, r"\[listeners.admin\] has no listener"),
        ([], {"app": "", "listeners": {"http": {"app": "b:a"}}}, ""),
        (["8000"], {"app": "", "listeners": {}}, "the listener http has no app"),
    ],
)
def test_what_systemd_could_not_listen_on_is_named_with_what_to_write(listen, settings, says):
    if not says:
        assert listening(wanted(*listen, **settings))
        return
    with pytest.raises(ConfigError, match=says) as caught:
        listening(wanted(*listen, **settings))
    assert caught.value.hint


def test_an_ipv6_address_with_a_zone_is_systemds_to_understand():
    assert "ListenStream=[fe80::1%%lo]:80" in lines("[fe80::1%lo]:80")
