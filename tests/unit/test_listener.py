"""What a listener is called, by people and by logs."""

from __future__ import annotations

import socket

import pytest

from spyglass_systemd.words import listener as words
from spyglass_systemd.words.listener import AF_INET, AF_INET6, AF_UNIX, Listener

ADDRESSES = [
    (AF_INET, ("127.0.0.1", 8000), "127.0.0.1:8000"),
    (AF_INET6, ("::1", 8000, 0, 0), "[::1]:8000"),
    (AF_UNIX, "/run/x.sock", "unix:/run/x.sock"),
    (AF_UNIX, b"\0x", "unix:@x"),
    (AF_UNIX, b"\0\xff x", r"unix:@\xff x"),
    (AF_UNIX, "", "unix:"),
]


@pytest.mark.parametrize(("family", "address", "where"), ADDRESSES)
def test_an_address_is_written_as_people_write_it(family, address, where):
    assert Listener(3, "", family, address).where == where


def test_a_listener_is_called_by_its_name_and_by_its_address_where_it_has_none():
    assert Listener(3, "http", AF_INET, ("127.0.0.1", 80)).label == "http"
    assert Listener(3, "", AF_INET, ("127.0.0.1", 80)).label == "127.0.0.1:80"


def test_its_repr_says_all():
    assert repr(Listener(3, "http", AF_INET, ("127.0.0.1", 80))) == "<Listener http fd=3 127.0.0.1:80>"


@pytest.mark.parametrize("family", ["AF_UNIX", "AF_INET", "AF_INET6"])
def test_the_families_are_those_of_the_system(family):
    assert getattr(words, family) == getattr(socket, family)
