from __future__ import annotations

import contextlib
import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spyglass_systemd.words.addresses import AF_UNSPEC, parse_address
from spyglass_systemd.words.listener import AF_INET, AF_INET6, AF_UNIX, Listener


@pytest.mark.parametrize(
    ("text", "family", "sockaddr", "full"),
    [
        ("8000", AF_INET, ("127.0.0.1", 8000), "127.0.0.1:8000"),
        ("0", AF_INET, ("127.0.0.1", 0), "127.0.0.1:0"),
        ("localhost:80", AF_INET, ("127.0.0.1", 80), "127.0.0.1:80"),
        ("*:8000", AF_INET, ("0.0.0.0", 8000), "0.0.0.0:8000"),
        ("0.0.0.0:8000", AF_INET, ("0.0.0.0", 8000), "0.0.0.0:8000"),
        ("[::]:8000", AF_INET6, ("::", 8000), "[::]:8000"),
        ("[::1]:65535", AF_INET6, ("::1", 65535), "[::1]:65535"),
        ("[fe80::1%eth0]:80", AF_UNSPEC, ("fe80::1%eth0", 80), "[fe80::1%eth0]:80"),
        ("example.org:80", AF_UNSPEC, ("example.org", 80), "example.org:80"),
        ("1.2.3:80", AF_UNSPEC, ("1.2.3", 80), "1.2.3:80"),
        ("ho\udcffst:80", AF_UNSPEC, ("ho\udcffst", 80), "ho\udcffst:80"),
        ("unix:/run/a b=c.sock", AF_UNIX, "/run/a b=c.sock", "unix:/run/a b=c.sock"),
        ("unix:app.sock", AF_UNIX, "app.sock", "unix:app.sock"),
        ("unix:@äpp", AF_UNIX, b"\0\xc3\xa4pp", "unix:@äpp"),
    ],
)
def test_each_form_is_understood_with_and_without_a_name(text, family, sockaddr, full):
    for name, written in (("", text), ("http", f"http={text}")):
        address = parse_address(written)
        assert (address.name, address.family, address.sockaddr, address.text) == (name, family, sockaddr, full)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "port"),
        ("host", "port"),
        ("host:", "port"),
        ("host:http", "port"),
        ("host:65536", "port"),
        ("host:-1", "port"),
        ("host:٨٠", "port"),
        (":8000", "host is missing"),
        ("a b:8000", "no host"),
        ("::1:8000", "stands in brackets"),
        ("[]:8000", "no IPv6 address"),
        ("[1.2.3.4]:8000", "no IPv6 address"),
        ("[::g]:8000", "no IPv6 address"),
        ("unix:", "socket's path"),
        ("unix:@", "socket's path"),
        ("unix:/" + "x" * 107, "socket's path"),
        ("unix:/run/\n", "control character"),
        ("=8000", "not a name"),
        ("ä=8000", "not a name"),
        ("n" * 256 + "=8000", "not a name"),
        ("a\x7f=8000", "control character"),
    ],
)
def test_what_is_no_address_is_refused_with_the_reason(text, says):
    with pytest.raises(ValueError, match=says) as caught:
        parse_address(text)
    assert "a listener: up to 255" in str(caught.value) or "write 8000, 127.0.0.1:8000" in str(caught.value)


def test_the_longest_name_and_the_longest_path_are_taken():
    assert parse_address("n" * 255 + "=8000").name == "n" * 255
    assert parse_address("unix:/" + "x" * 106).sockaddr == "/" + "x" * 106


def test_addresses_are_values():
    one, same, other = parse_address("http=8000"), parse_address("http=127.0.0.1:8000"), parse_address("8000")
    assert one == same
    assert one != other
    assert one != "http=127.0.0.1:8000"
    assert len({one, same, other}) == 2
    assert repr(one) == "<Address http=127.0.0.1:8000>"


names = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters=":="), max_size=255)
hosts = st.one_of(
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(lambda ip: f"[{ipaddress.IPv6Address(int(ip))}]"),
    st.from_regex(r"[a-z][a-z0-9-]{0,20}(\.[a-z]{2,5})?", fullmatch=True).filter(lambda host: host != "unix"),
)
paths = st.text(st.characters(min_codepoint=0x20, exclude_categories=["Cs", "Cc"]), min_size=2, max_size=26)
texts = st.one_of(
    st.builds("{}:{}".format, hosts, st.integers(0, 65535)),
    paths.map("unix:{}".format),
    paths.map("unix:@{}".format),
)


@given(names, texts)
def test_what_is_written_out_is_read_back(name, text):
    address = parse_address(f"{name}={text}" if name else text)
    again = parse_address(str(address))
    assert again == address
    assert (again.name, again.family, again.sockaddr) == (name, address.family, address.sockaddr)


@given(texts)
def test_a_listener_writes_its_address_the_same_way(text):
    address = parse_address(text)
    if address.family != AF_UNSPEC and address.text.isascii():
        assert Listener(3, "", address.family, address.sockaddr).where == address.text


@given(st.text(alphabet="[]:=@%*.unix/0123456789 \n"))
def test_no_text_breaks_the_parser(text):
    with contextlib.suppress(ValueError):
        assert parse_address(text).text
