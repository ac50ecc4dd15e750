"""Hosts, addresses and networks."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spyglass_systemd.words.hosts import Network, ip, is_host, packed, server_names, split_host


@pytest.mark.parametrize(
    "text",
    ["a", "a.example", "a.example:80", "a:", "[::1]", "[::1]:8000", "127.0.0.1:1", "x_y%41"],
)
def test_what_is_a_host(text):
    assert is_host(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":80",
        "a b",
        "a/b",
        "u@a",
        "a:b",
        "a:-1",
        "a:123456",
        "[::1",
        "[]",
        "[::1]x",
        "[g]",
        "a\r\nb",
        "a\0",
        "a,b:1:2",
        "\xe4",
    ],
)
def test_what_is_none(text):
    assert not is_host(text)


@pytest.mark.parametrize(
    ("host", "scheme", "name", "port"),
    [
        ("a.example", "http", "a.example", "80"),
        ("a.example", "https", "a.example", "443"),
        ("a.example:", "wss", "a.example", "443"),
        ("a.example:8080", "https", "a.example", "8080"),
        ("[::1]", "http", "::1", "80"),
        ("[::1]:81", "http", "::1", "81"),
    ],
)
def test_a_host_has_a_port_or_that_of_its_scheme(host, scheme, name, port):
    assert split_host(host, scheme) == (name, port)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("::FFFF:a00:1", "10.0.0.1"),
        ("127.1", ""),
        ("010.0.0.1", ""),
        ("1.2.3.4:80", ""),
        ("[::1]", ""),
        ("::1%lo", ""),
        ("", ""),
        ("unknown", ""),
        ("1.2.3.4\0", ""),
        ("\ud800", ""),
        (":\ud800", ""),
    ],
)
def test_an_address_has_one_form(text, address):
    assert ip(text) == address


@given(st.ip_addresses())
def test_every_address_is_read(address):
    mapped = getattr(address, "ipv4_mapped", None)
    assert ipaddress.ip_address(ip(str(address))) == (mapped or address)


@given(st.text())
def test_any_text_is_an_address_or_none(text):
    assert ip(ip(text)) == ip(text)


@pytest.mark.parametrize(
    ("network", "inside", "outside"),
    [
        ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
        ("10.0.0.0/8", "::ffff:10.0.0.1", "::a00:1"),
        ("0.0.0.0/0", "1.2.3.4", "::1"),
        ("127.0.0.1", "127.0.0.1", "127.0.0.2"),
        ("2001:db8::/33", "2001:db8:7fff::", "2001:db8:8000::"),
        ("::1/128", "::1", "127.0.0.1"),
    ],
)
def test_a_network_holds_its_addresses(network, inside, outside):
    assert Network(network).holds(packed(inside))
    assert not Network(network).holds(packed(outside))
    assert not Network(network).holds(b"")


@given(st.ip_addresses(), st.ip_addresses(), st.integers(0, 128))
def test_a_network_holds_what_the_standard_library_says(one, other, length):
    length %= one.max_prefixlen + 1
    network = ipaddress.ip_network(f"{one}/{length}", strict=False)
    if not str(one).startswith("::ffff:") and not str(network).startswith("::ffff:"):
        assert Network(str(network)).holds(packed(str(one)))
        assert Network(str(network)).holds(other.packed) == (other.version == one.version and other in network)


@pytest.mark.parametrize("text", ["", "/8", "a/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/٣", "::/129"])
def test_what_is_no_network_is_named(text):
    with pytest.raises(ValueError, match="is no IP address or network"):
        Network(text)


def test_bits_beyond_the_prefix_are_a_mistake():
    with pytest.raises(ValueError, match="beyond the first 8"):
        Network("10.0.0.1/8")


def test_names_for_a_proxy_are_one_or_several():
    assert server_names("blog.example") == ("blog.example",)
    assert server_names(["*.blog.example", "xn--bl-fka.example", "a_b", "10.0.0.1"])[0] == "*.blog.example"


@pytest.mark.parametrize("name", ["a;b", "a b;", "a{", "", "-a", "a-", "a..b", "*", "*.", "a.*", "\u00e9", "a\n", 5])
def test_what_would_mean_something_else_to_a_proxy_is_no_name(name):
    with pytest.raises(ValueError, match="is not the name of a host: write blog"):
        server_names(["a", name])
