"""Who asks, when a proxy says it: tables of fields in, an origin out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spyglass_systemd.policy.forwarded import Trust, resolve
from spyglass_systemd.words.claims import CLAIMS, FIELDS, FOR, FORWARDED, HOST, PREFIX, PROTO, REAL_IP

PROXIES = ("unix", "127.0.0.1", "::1", "10.0.0.0/8")
X = (FOR, PROTO, HOST, PREFIX)
EVIL = "6.6.6.6"


def origin(*came, peer="", fields=X, proxies=PROXIES):
    return resolve(peer, came, Trust(proxies, fields))


def client(*lines, **more):
    return origin(*((FOR, line) for line in lines), **more).client


def standard(*lines, **more):
    return origin(*((FORWARDED, line) for line in lines), fields=(FORWARDED,), **more)


# Whom


@pytest.mark.parametrize("peer", ["", "127.0.0.1", "::1", "::ffff:127.0.0.1", "0:0:0:0:0:0:0:1", "10.9.8.7"])
def test_a_peer_that_is_named_is_believed(peer):
    assert client("1.2.3.4", peer=peer) == "1.2.3.4"


@pytest.mark.parametrize("peer", ["127.0.0.2", "::2", "11.0.0.1", "unix", "unknown", "-"])
def test_any_other_is_not(peer):
    assert origin((FOR, "1.2.3.4"), (PROTO, "https"), peer=peer) is None


def test_a_unix_peer_is_believed_only_where_unix_is_named():
    assert origin((FOR, "1.2.3.4"), proxies=("127.0.0.1",)) is None


def test_nobody_is_believed_where_nobody_is_named():
    assert origin((FOR, "1.2.3.4"), peer="127.0.0.1", proxies=()) is None


def test_a_proxy_that_is_none_of_these_is_an_error():
    with pytest.raises(ValueError, match="localhost"):
        Trust(("localhost",), X)


# How far back


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ([], None),
        ([""], None),
        ([" , ,"], None),
        (["1.2.3.4"], "1.2.3.4"),
        ([f"{EVIL}, 1.2.3.4"], "1.2.3.4"),
        ([EVIL, "1.2.3.4"], "1.2.3.4"),
        ([f"127.0.0.1, {EVIL}, 1.2.3.4,10.0.0.1 ,\t::1"], "1.2.3.4"),
        (["10.0.0.2, 10.0.0.1"], "10.0.0.2"),
        (["1.2.3.4:4711"], "1.2.3.4"),
        (["2001:DB8::1"], "2001:db8::1"),
        (["[2001:db8::1]"], "2001:db8::1"),
        (["[2001:db8::1]:4711"], "2001:db8::1"),
        (["::ffff:1.2.3.4"], "1.2.3.4"),
        (["1.2.3.4, ::ffff:10.0.0.1"], "1.2.3.4"),
        (["1.2.3.4, unix:"], "1.2.3.4"),
        (["unix:, unix:"], ""),
    ],
)
def test_the_client_is_the_rightmost_that_is_no_proxy_of_ours(lines, found):
    assert client(*lines) == found


@pytest.mark.parametrize(
    "hop",
    [
        "unknown",
        "_hidden",
        "_a:_b",
        "-",
        "127.1",
        "1.2.3.4.5",
        "[::1",
        "[::1]x",
        "[::1]80",
        '"1.2.3.4"',
        "1.2.3.4 5",
        "a\0",
    ],
)
def test_a_client_that_is_no_address_is_unknown_and_nothing_left_of_him_counts(hop):
    assert not client(f"127.0.0.1, {EVIL}, {hop}, 10.0.0.1")
    assert client(hop) == ""  # not None: he is not the proxy


def test_unix_in_a_chain_is_a_proxy_only_where_unix_is_named():
    assert client(f"{EVIL}, unix:", peer="127.0.0.1", proxies=("127.0.0.1",)) == ""


# What


def test_scheme_and_host_are_what_the_nearest_proxy_says():
    found = origin(
        (PROTO, "http, HTTPS"), (HOST, "evil.example, a.example:8443"), (PREFIX, "/evil"), (PREFIX, "/blog/")
    )
    assert (found.scheme, found.host, found.prefix) == ("https", "a.example:8443", "/blog")
    assert repr(found) == "<Origin client=None scheme='https' host='a.example:8443' prefix='/blog'>"


@pytest.mark.parametrize(("said", "means"), [("ws", "http"), ("wss", "https"), ("HTTPS", "https"), ("ftp", "")])
def test_a_scheme_is_http_or_https(said, means):
    assert origin((PROTO, said)).scheme == means


@pytest.mark.parametrize(
    "host", ["", "a b", "a/b", "a@b", "a\r\nX: y", "a\tb", "a?b", "a#b", "a\\\\b", '"a"', "a:b", "<a>", "\xe4", "[::1"]
)
def test_a_host_that_is_none_is_ignored(host):
    assert origin((HOST, host)).host == ""
    assert standard(f'for=1.2.3.4;host="{host}"').host == ""


@pytest.mark.parametrize(
    "prefix",
    [
        "",
        "/",
        "//",
        "blog",
        "//evil.example",
        "/a//b",
        "/a/../b",
        "/.",
        "/a b",
        "/a\r\nb",
        "/a?b",
        "/a#b",
        "/%2e",
        "/\\e",
        "/\xe4",
        "/<",
    ],
)
def test_a_prefix_that_is_no_plain_path_is_ignored(prefix):
    assert origin((PREFIX, prefix)).prefix == ""


def test_only_the_fields_that_the_proxies_set_are_believed():
    came = [(FOR, "1.2.3.4"), (PROTO, "https"), (HOST, "evil.example"), (PREFIX, "/evil"), (FORWARDED, f"for={EVIL}")]
    found = origin(*came, fields=(FOR, PROTO))
    assert (found.client, found.scheme, found.host, found.prefix) == ("1.2.3.4", "https", "", "")
    assert dict(found.fields) == {FOR: "1.2.3.4", PROTO: "https"}


def test_a_proxy_that_speaks_the_standard_is_not_asked_for_anything_else():
    came = [(FORWARDED, "for=1.2.3.4"), (FOR, EVIL), (PROTO, "https"), (HOST, "evil.example"), (REAL_IP, EVIL)]
    found = origin(*came, fields=(FORWARDED,))
    assert (found.client, found.scheme, found.host) == ("1.2.3.4", "", "")
    assert dict(found.fields) == {FOR: "1.2.3.4", REAL_IP: "1.2.3.4"}


def test_the_app_sees_the_truth_in_place_of_what_came_once():
    came = [(FOR, f"{EVIL}, 1.2.3.4"), (FOR, "10.0.0.1"), (REAL_IP, EVIL), (PROTO, "ftp"), ("x-forwarded-port", "1")]
    assert origin(*came, ("accept", "x"), (PREFIX, "/b")).fields == [
        (FOR, "1.2.3.4"),
        (REAL_IP, "1.2.3.4"),
        (PREFIX, "/b"),
    ]
    assert origin((FOR, "unknown")).fields == []


# RFC 7239


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ([], (None, "", "")),
        ([""], (None, "", "")),
        (["for=192.0.2.43"], ("192.0.2.43", "", "")),
        (['For="[2001:db8:cafe::17]:4711"'], ("2001:db8:cafe::17", "", "")),
        (["for=192.0.2.60;proto=http;by=203.0.113.43"], ("192.0.2.60", "http", "")),
        ([f"for={EVIL}, for=198.51.100.17"], ("198.51.100.17", "", "")),
        ([f"for={EVIL}", "for=198.51.100.17; PROTO=https ;Host=a.example"], ("198.51.100.17", "https", "a.example")),
        (['for="_gazonk"'], ("", "", "")),
        (["for=unknown;host=a.example"], ("", "", "a.example")),
        (['for="1.2.3.4:_port"'], ("1.2.3.4", "", "")),
        (["for=1.2.3.4:80;host=a.example:81"], ("1.2.3.4", "", "a.example:81")),
        (['for=1.2.3.4;host="a\\.example"'], ("1.2.3.4", "", "a.example")),
        (['for=1.2.3.4;x="a,b;for=6.6.6.6"'], ("1.2.3.4", "", "")),
        ([";for=1.2.3.4;;,,"], ("1.2.3.4", "", "")),
        # what our own proxies add right of it does not count
        (
            ["for=1.2.3.4;host=a.example;proto=https, for=10.0.0.1;host=inner;proto=http"],
            ("1.2.3.4", "https", "a.example"),
        ),
        (["for=10.0.0.2;host=a.example, for=10.0.0.1;host=inner"], ("10.0.0.2", "", "a.example")),
        # an element that does not say for whom ends what is known
        ([f"for={EVIL};proto=https, proto=http"], ("", "http", "")),
    ],
)
def test_the_standard_is_read(lines, found):
    told = standard(*lines)
    assert (told.client, told.scheme, told.host) == found


@pytest.mark.parametrize(
    "client_writes",
    [
        'for=127.0.0.1;x="',
        'for=127.0.0.1;proto=https;host=evil.example;x="\\',
        'for="127.0.0.1',
        'x="a\\"',
        '"',
        "for=127.0.0.1;for=127.0.0.1",
        'for=127.0.0.1;x="a"b',
        "for",
        "=x",
        "f r=x",
        "for=a b",
        "for=",
    ],
)
@pytest.mark.parametrize(
    "proxy_adds",
    ["for=1.2.3.4", 'for="[2001:db8::1]";proto=http', 'for=1.2.3.4;host="a.example"'],
)
def test_a_client_cannot_quote_what_the_proxy_says(client_writes, proxy_adds):
    told = standard(f"{client_writes}, {proxy_adds}")
    assert told.client in {"", "1.2.3.4", "2001:db8::1"}
    assert told.scheme in {"", "http"}
    assert told.host in {"", "a.example"}
    apart = standard(client_writes, proxy_adds)
    assert apart.client == client_of(proxy_adds)


def client_of(element):
    return standard(element).client


@given(st.text(alphabet=st.sampled_from('for=1.2:[]";,\\ proto_host%6'), max_size=60))
def test_whatever_a_client_writes_on_a_line_of_his_own_the_proxy_is_heard(line):
    assert standard(line, "for=1.2.3.4;proto=https;host=a.example").client == "1.2.3.4"
    assert client(line, "1.2.3.4") == "1.2.3.4"


@given(st.text(alphabet=st.sampled_from('for=1.2:[]";,\\ proto_host%6'), max_size=60))
def test_whatever_a_client_writes_before_it_the_proxy_is_heard_or_nobody(line):
    told = standard(f"{line}, for=1.2.3.4;proto=https;host=a.example")
    assert (told.client, told.scheme, told.host) in {("1.2.3.4", "https", "a.example"), ("", "", "")}
    assert client(f"{line}, 1.2.3.4") == "1.2.3.4"


@given(
    st.lists(st.tuples(st.sampled_from([*sorted(CLAIMS), "accept"]), st.text()), max_size=8), st.sampled_from(PROXIES)
)
def test_nothing_breaks_it(came, peer):
    for fields in (X, (FORWARDED, PREFIX), FIELDS):
        found = resolve("" if peer == "unix" else peer.partition("/")[0], came, Trust(PROXIES, fields))
        assert found.scheme in {"", "http", "https"}
        assert f"{found.client}{found.host}{found.prefix}".isprintable()
        assert {name for name, _ in found.fields} <= {name for name, _ in came}
