from __future__ import annotations

import socket
from dataclasses import replace

import pytest

from spyglass_systemd.tools import vacancy
from spyglass_systemd.tools.places import of_system
from spyglass_systemd.tools.wanted import Wanted
from spyglass_systemd.words.addresses import parse_address
from spyglass_systemd.words.errors import ActivationError, ConfigError
from spyglass_systemd.words.options import Settings


class Manager:
    """Which units listen."""

    active = ()

    def is_active(self, unit):
        return unit in self.active


@pytest.fixture
def manager(monkeypatch):
    manager = Manager()
    monkeypatch.setattr(vacancy, "manager_of", lambda _: manager)
    return manager


@pytest.fixture
def places(tmp_path, manager):
    del manager
    return replace(of_system(), units=tmp_path / "units", runtime=tmp_path)


@pytest.fixture
def listens():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def ask(places, *listen):
    wanted = Wanted(places.site("blog"), Settings(app="b:a"), "", "", "root", tuple(map(parse_address, listen)))
    return list(vacancy.vacant(wanted))


def enable(places, unit, *streams):
    path = places.units / f"{unit}.d" / "50-spyglass.conf"
    path.parent.mkdir(parents=True)
    path.write_text("[Socket]\nListenStream=\n" + "".join(f"ListenStream={stream}\n" for stream in streams))


def test_an_address_that_nobody_has_is_free(places):
    assert ask(places, "unix:@spyglass-nobody") == []
    assert ask(places) == []


def test_an_address_that_somebody_listens_on_is_not(places, listens):
    with pytest.raises(ActivationError, match=f"cannot listen on {listens}: it is in use"):
        ask(places, listens)


def test_the_sites_own_socket_has_to_be_free_as_well(places):
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(places.site("blog").path))
        with pytest.raises(ActivationError, match="in use"):
            ask(places)


def test_what_the_site_listens_on_already_is_its_own(places, manager, listens):
    enable(places, "spyglass@blog.admin.socket", listens)
    manager.active = ("spyglass@blog.admin.socket", "spyglass@blog.socket")
    assert ask(places, listens) == []
    with socket.socket(socket.AF_UNIX) as own:
        own.bind(str(places.site("blog").path))
        assert ask(places) == []


def test_what_another_site_listens_on_is_named_with_the_site(places, listens):
    enable(places, "spyglass@wiki.admin.socket", "1.2.3.4:5", listens)
    with pytest.raises(ConfigError, match=f"listen = {listens}: the site wiki listens there") as caught:
        ask(places, "unix:@spyglass-nobody", listens)
    assert "spyglass disable wiki" in caught.value.hint


def test_an_address_twice_is_once_too_often(places):
    with pytest.raises(ConfigError, match="an address twice"):
        ask(places, "a=8000", "b=127.0.0.1:8000")


def test_a_drop_in_that_is_none_says_nothing(places):
    enable(places, "spyglass@wiki.socket")
    (places.units / "spyglass@wiki.socket.d/50-spyglass.conf").write_text("nonsense")
    assert vacancy.streams(places, "spyglass@wiki.socket") == set()
    assert vacancy.streams(places, "spyglass@none.socket") == set()
