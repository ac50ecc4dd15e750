"""What is printed for a proxy in front of a site."""

from __future__ import annotations

import os
import re

import pytest

from spyglass_systemd.cli.main import main
from spyglass_systemd.tools.places import of_user
from spyglass_systemd.tools.snippets import caddy, nginx
from spyglass_systemd.words.addresses import parse_address
from spyglass_systemd.words.claims import FIELDS, FORWARDED, PREFIX
from spyglass_systemd.words.errors import ConfigError
from spyglass_systemd.words.options import Settings

SOCKET = "unix:/run/spyglass/blog.sock"
BOTH = pytest.mark.parametrize("make", [nginx, caddy])


def made(make, address=SOCKET, hosts=("blog.example",), group="www-data", **settings):
    return make("blog", Settings(app="blog:app", **settings), parse_address(address), group, hosts)


def lines(text):
    """Its lines without indentation and what is said about them."""
    return [re.sub(r" *#.*", "", line).strip() for line in text.splitlines()]


@BOTH
def test_braces_are_closed_and_nothing_is_wider_than_a_screen(make):
    text = made(make, trusted_proxies=("unix",), root_path="/blog", body_limit=100, trusted_fields=(PREFIX,))
    assert text.count("{") == text.count("}")
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize(
    ("address", "upstream", "dial"),
    [
        (SOCKET, "unix:/run/spyglass/blog.sock", "unix//run/spyglass/blog.sock"),
        ("8000", "127.0.0.1:8000", "127.0.0.1:8000"),
        ("*:8000", "127.0.0.1:8000", "127.0.0.1:8000"),
        ("[::]:8000", "[::1]:8000", "[::1]:8000"),
        ("http=[fd00::1]:8000", "[fd00::1]:8000", "[fd00::1]:8000"),
    ],
)
def test_the_site_is_found_where_it_listens(address, upstream, dial):
    assert f"server {upstream};" in lines(made(nginx, address))
    assert f"reverse_proxy {dial} {{" in lines(made(caddy, address))


def test_an_abstract_socket_is_for_caddy_only():
    assert "reverse_proxy unix/@blog {" in lines(made(caddy, "unix:@blog"))
    with pytest.raises(ConfigError, match="abstract"):
        made(nginx, "unix:@blog")


@pytest.mark.parametrize(
    ("settings", "seconds"),
    [
        ({}, 180),
        ({"import_timeout": 2.5, "request_timeout": 10.0}, 63),
        ({"request_timeout": 600.0}, 720),
        ({"request_timeout": None}, 3720),
    ],
)
def test_it_waits_as_long_as_a_wake_and_a_request_may_take(settings, seconds):
    assert f"proxy_read_timeout {seconds}s;" in lines(made(nginx, **settings))
    assert f"response_header_timeout {seconds}s" in lines(made(caddy, **settings))


@pytest.mark.parametrize(("keepalive", "shorter"), [(5.0, "3000ms"), (0.1, "60ms"), (0.0, "1ms")])
def test_it_closes_a_connection_before_the_app_does(keepalive, shorter):
    assert f"keepalive_timeout {shorter};" in lines(made(nginx, keepalive=keepalive))
    assert f"keepalive {shorter}" in lines(made(caddy, keepalive=keepalive))


@pytest.mark.parametrize("fields", [(), FIELDS[:1], FIELDS[:4], (PREFIX,)])
@BOTH
def test_every_field_that_is_believed_is_set_and_no_other(make, fields):
    said = {word.lstrip("-").lower() for line in lines(made(make, trusted_fields=fields)) for word in line.split()}
    by_itself = {*FIELDS} - {PREFIX} if make is caddy else {FORWARDED}
    assert said & {*FIELDS} == {*fields} - by_itself


def test_the_standard_field_is_written_by_nginx_and_not_by_caddy():
    assert 'proxy_set_header Forwarded "$blog_for;proto=$scheme;host=\\"$http_host\\"";' in lines(
        made(nginx, trusted_fields=(FORWARDED,))
    )
    with pytest.raises(ConfigError, match="forwarded, which Caddy does not write"):
        made(caddy, trusted_fields=(FORWARDED,))


def test_below_a_path_the_path_is_taken_off_and_said():
    text = lines(made(nginx, root_path="/blog", trusted_fields=(PREFIX,)))
    assert "location /blog/ {" in text
    assert "proxy_pass http://blog/;" in text
    assert 'proxy_set_header X-Forwarded-Prefix "/blog";' in text
    text = lines(made(caddy, root_path="/blog/", trusted_fields=(PREFIX,)))
    assert "handle_path /blog/* {" in text
    assert "header_up X-Forwarded-Prefix /blog" in text


def test_at_the_root_a_prefix_is_taken_away():
    assert 'proxy_set_header X-Forwarded-Prefix "";' in lines(made(nginx, trusted_fields=(PREFIX,)))
    assert "header_up -X-Forwarded-Prefix" in lines(made(caddy, trusted_fields=(PREFIX,)))


def test_websockets_pass_unless_the_app_has_none():
    assert "proxy_set_header Connection $blog_connection;" in lines(made(nginx))
    assert "proxy_set_header Connection $blog_connection;" in lines(made(nginx, kind="asgi"))
    text = made(nginx, kind="wsgi")
    assert "pgrade" not in text
    assert 'proxy_set_header Connection "";' in lines(text)


def test_the_names_of_variables_are_words():
    text = nginx("my-blog-2", Settings(app="a:b"), parse_address(SOCKET), "www-data", ())
    assert "upstream my_blog_2 {" in text
    assert "$my-" not in text


@pytest.mark.parametrize(("limit", "size"), [(None, "0"), (1000, "1000")])
def test_the_app_alone_limits_bodies(limit, size):
    assert f"client_max_body_size {size};" in lines(made(nginx, body_limit=limit))
    assert ("max_size 1000" in lines(made(caddy, body_limit=limit))) is (limit == 1000)


def test_hosts_are_those_of_the_file_or_all():
    hosts = ("blog.example", "*.blog.example")
    assert "server_name blog.example *.blog.example;" in lines(made(nginx, hosts=hosts))
    assert "blog.example, *.blog.example {" in lines(made(caddy, hosts=hosts))
    assert "server_name _;" in lines(made(nginx, hosts=()))
    assert ":80 {" in lines(made(caddy, hosts=()))
    assert "every host that no other server has" in made(nginx, hosts=())
    assert 'nginx = ["blog.example"]' in made(caddy, hosts=())


@pytest.mark.parametrize(("key", "value"), [("root_path", "/a b"), ("root_path", "/a;b"), ("address", "unix:/run/a{b")])
@BOTH
def test_what_means_something_else_to_a_proxy_is_refused(make, key, value):
    with pytest.raises(ConfigError, match="means something else"):
        made(make, **{key: value})


@BOTH
def test_what_is_to_be_done_in_the_sites_file_is_said(make):
    assert 'trusted_proxies = ["unix"]' in made(make)
    assert 'trusted_proxies = ["127.0.0.1"]' in made(make, "8000")
    assert "trusted_proxies" not in made(make, trusted_proxies=("unix",))
    assert "trusted_proxies" not in made(make, "8000", trusted_proxies=("10.1.2.3", "127.0.0.0/8"))
    assert 'trusted_proxies = ["unix", "127.0.0.1"]' in made(make, "8000", trusted_proxies=("unix",))
    assert 'trusted_proxies = ["::1"]' in made(make, "[::]:8000")
    assert 'trusted_proxies = ["127.0.0.1", "unix"]' in made(make, trusted_proxies=("127.0.0.1",))
    assert 'listen = ["127.0.0.1:8000"]' in made(make, "unix:/run/user/1000/spyglass/blog.sock")


def test_a_proxy_needs_its_group_on_a_unix_socket_only():
    assert 'socket_group = "caddy"' in made(caddy)
    assert "socket_group" not in made(caddy, group="caddy")
    assert "socket_group" not in made(caddy, "8000")
    assert 'socket_group = "www-data"' in made(nginx, group="caddy")
    assert "socket_group" not in made(nginx)


def test_the_proxy_protocol_is_for_caddy_only():
    assert "proxy_protocol v2" in lines(made(caddy, proxy_protocol=True))
    with pytest.raises(ConfigError, match="nginx speaks it where it reads no HTTP"):
        made(nginx, proxy_protocol=True)


@BOTH
def test_a_raw_app_has_nothing_to_say_to_a_proxy(make):
    with pytest.raises(ConfigError, match="kind = raw"):
        made(make, kind="raw")


# ### The verb


@pytest.fixture
def printed(tmp_path, monkeypatch, capsys):
    places = of_user({"XDG_CONFIG_HOME": str(tmp_path), "XDG_RUNTIME_DIR": "/run/user/1"}, os.getuid(), 255)
    places.config.mkdir()
    monkeypatch.setattr("spyglass_systemd.cli.command.places_of", lambda **_: places)

    def printed(*words, file='app = "blog:app"\n'):
        (places.config / "blog.toml").write_text(file)
        code = main(["snippet", "blog", *words])
        return code, capsys.readouterr()

    return printed


def test_the_verb_prints_it_from_the_sites_file(printed):
    code, said = printed("--nginx", file='app = "blog:app"\nnginx = ["blog.example"]\nkeepalive = "2s"\n')
    assert code == 0
    assert "server unix:/run/user/1/spyglass/blog.sock;" in lines(said.out)
    assert "server_name blog.example;" in lines(said.out)
    assert "keepalive_timeout 1200ms;" in lines(said.out)
    code, said = printed("--caddy", file='app = "blog:app"\nlisten = ["http=8000", "9000"]\n')
    assert code == 0
    assert "reverse_proxy 127.0.0.1:8000 {" in lines(said.out)


@pytest.mark.parametrize("words", [[], ["--nginx", "--caddy"]])
def test_one_proxy_has_to_be_named(printed, words):
    code, said = printed(*words)
    assert code == 64
    assert "`spyglass snippet blog --user --nginx`, or --caddy" in said.err
