"""Addresses to listen on, as a person writes them. Resolves no host name and opens nothing."""

from __future__ import annotations

from _socket import inet_pton

from spyglass_systemd.words.listener import AF_INET, AF_INET6, AF_UNIX

AF_UNSPEC = 0
_PATH_LIMIT = 107  # bytes; sun_path holds 108 with its NUL, unix(7)
_NAME_LIMIT = 255  # FileDescriptorName= in systemd.socket(5)
_PORTS = 65536
_FORMS = "write 8000, 127.0.0.1:8000, [::1]:8000, *:8000, unix:/run/app.sock or unix:@name"


class Address:
    """One address, ready for bind(2), where no name has to be resolved first.

    `family` is AF_INET, AF_INET6 or AF_UNIX; AF_UNSPEC means that `sockaddr` is a (host, port) which only
    getaddrinfo(3) understands: a host name, or an IPv6 address with a zone. `sockaddr` has Python's form; bytes are the
    abstract namespace. `name` is the FileDescriptorName, "" for none. `text` is the address alone, written out in full.
    """

    __slots__ = ("family", "name", "sockaddr", "text")

    def __init__(self, name: str, family: int, sockaddr: tuple[str, int] | str | bytes, text: str) -> None:
        self.name = name
        self.family = family
        self.sockaddr = sockaddr
        self.text = text

    def __str__(self) -> str:
        """What `parse_address` makes this same value of."""
        return f"{self.name}={self.text}" if self.name else self.text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Address) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def __repr__(self) -> str:
        return f"<Address {self}>"


def parse_address(text: str) -> Address:
    """The address that `text` names.

    Forms: `8000` (this machine only), `host:port`, `[v6]:port`, `*:port` (every IPv4 address), `unix:/path`,
    `unix:@abstract`, each with `name=` before it where the listener has a name. Port 0 is any free port.
    Raises ValueError with a message that says what an address looks like.
    """
    if any(character < " " or character == "\x7f" for character in text):
        raise ValueError(f"{text!r} has a control character: {_FORMS}")
    name, equals, rest = text.partition("=")
    if not equals or ":" in name:  # a name has no colon, so this equals sign belongs to a path
        name, rest = "", text
    elif not (0 < len(name) <= _NAME_LIMIT and name.isascii()):
        raise ValueError(f"{name!r} is not a name for a listener: up to {_NAME_LIMIT} ASCII characters, no colon")
    if rest.startswith("unix:"):
        return _unix(name, rest)
    host, colon, port = rest.rpartition(":")
    if not colon:
        host = "127.0.0.1"
    if not (port.isascii() and port.isdecimal() and int(port) < _PORTS):
        raise ValueError(f"{rest!r} is not an address, its port is not one of 0 to {_PORTS - 1}: {_FORMS}")
    return _inet(name, host, int(port), rest)


def _unix(name: str, text: str) -> Address:
    path = text.removeprefix("unix:")
    raw = path.encode("utf-8", "surrogateescape")
    if path in {"", "@"} or len(raw) > _PATH_LIMIT:
        raise ValueError(f"{text!r} is not an address, a socket's path has 1 to {_PATH_LIMIT} bytes: {_FORMS}")
    return Address(name, AF_UNIX, b"\0" + raw[1:] if path.startswith("@") else path, text)


def _inet(name: str, host: str, port: int, text: str) -> Address:
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        bare, percent, _ = host.partition("%")
        if not _is_address(AF_INET6, bare):
            raise ValueError(f"{text!r} is not an address, {host!r} is no IPv6 address: {_FORMS}")
        return Address(name, AF_UNSPEC if percent else AF_INET6, (host, port), f"[{host}]:{port}")
    if not host or any(character in " []/@:" for character in host):
        hint = "an IPv6 address stands in brackets" if ":" in host else "a host is missing or is no host"
        raise ValueError(f"{text!r} is not an address, {hint}: {_FORMS}")
    host = {"*": "0.0.0.0", "localhost": "127.0.0.1"}.get(host, host)  # noqa: S104  # asked for by name
    family = AF_INET if _is_address(AF_INET, host) else AF_UNSPEC
    return Address(name, family, (host, port), f"{host}:{port}")


def _is_address(family: int, host: str) -> bool:
    try:
        inet_pton(family, host)
    except (OSError, ValueError):  # ValueError: a surrogate or a NUL in it
        return False
    return True
