"""What an app is reached by: Unix and TCP, IPv4 and IPv6, one .socket unit and several."""

from __future__ import annotations

import pytest
from sites import NEVER, QUICK

TCP = "[Socket]\nListenStream=\nListenStream=127.0.0.1:8000\nListenStream=[::1]:8000\nNoDelay=yes\n"
SECOND = """
[Socket]
ListenStream=127.0.0.1:8001
FileDescriptorName=admin
Service={0}

[Install]
WantedBy=sockets.target
"""
URLS = ("http://127.0.0.1:8000/", "http://[::1]:8000/")


def test_it_is_reached_over_ipv4_and_ipv6_in_place_of_the_unix_socket(site, python):
    app = site(python=python, socket=TCP, **QUICK)
    for url in URLS:
        assert app.curl(url).out.endswith("200")
        app.until("inactive")
    assert not app.machine.inside(app.path).exists()
    woken_by = [event["SPYGLASS_LISTENER"] for event in app.events() if event["SPYGLASS_EVENT"] == "WOKE"]
    assert woken_by == ["http", "http"]
    assert "tcp option" not in app.machine.journal("--unit", app.socket).lower()


def test_it_is_reached_over_all_of_them_at_once(site):
    app = site(socket=TCP.replace("ListenStream=\n", ""), **NEVER)
    for target in ((), *[(url,) for url in URLS]):
        assert app.curl(*target).out.endswith("200")


def test_a_second_socket_unit_wakes_the_same_app(site, python):
    app = site(python=python, **QUICK)
    admin = f"{app.name}-admin.socket"
    app.machine.put(f"/etc/systemd/system/{admin}", SECOND.format(app.service))
    app.drop_in("service", f"[Service]\nSockets={app.socket} {admin}\n", "sockets")
    app.machine.run("systemctl", "daemon-reload")
    app.machine.run("systemctl", "start", admin)
    try:
        assert app.curl("http://127.0.0.1:8001/").out.endswith("200")
        assert app.curl().out.endswith("200")
        app.until("inactive")
        assert app.curl().out.endswith("200")
        app.until("inactive")
        woken_by = [event["SPYGLASS_LISTENER"] for event in app.events() if event["SPYGLASS_EVENT"] == "WOKE"]
        assert woken_by == ["admin", "http"]
    finally:
        app.machine.run("systemctl", "stop", admin)
        app.machine.run("rm", f"/etc/systemd/system/{admin}")


@pytest.mark.parametrize(("user", "may"), [("www-data", True), ("nobody", False)])
def test_only_web_servers_may_connect(site, user, may):
    app = site(**QUICK)
    assert (app.curl(user=user, check=False).code == 0) is may
    assert app.listens


@pytest.mark.parametrize(
    ("directive", "cure"),
    [
        ("ListenDatagram=/run/spyglass/datagrams", "ListenStream= in place of ListenDatagram="),
        ("ListenStream=/run/spyglass/%i.sock\nAccept=yes", ""),
    ],
    ids=["datagrams", "Accept=yes"],
)
def test_a_listener_that_cannot_be_served_is_named_with_its_cure(site, directive, cure):
    """systemd itself refuses Accept=yes for our service, which is no template of connections."""
    app = site(**QUICK)
    app.machine.run("systemctl", "stop", app.socket)
    app.drop_in("socket", f"[Socket]\nListenStream=\n{directive}\n")
    app.machine.run("systemctl", "daemon-reload")
    app.machine.run("systemctl", "start", app.service, check=False)
    assert app.machine.state(app.service) != "active"
    assert cure in app.log()
