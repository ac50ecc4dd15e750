"""A listener: a listening socket that somebody else made and holds. Knows its name and address, not who serves it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

AF_UNIX, AF_INET, AF_INET6 = 1, 2, 10  # <sys/socket.h>; importing `socket` for three numbers costs 7 ms at each wake


class Listener:
    """One listening stream socket that we were handed.

    `fd` is its descriptor, `name` its FileDescriptorName= ("" where none was given), `family` one of AF_UNIX,
    AF_INET, AF_INET6, `address` what getsockname(2) says in Python's form: (host, port[, flow, scope]) or a path
    (str; bytes for the abstract namespace).
    """

    __slots__ = ("address", "family", "fd", "name")

    def __init__(self, fd: int, name: str, family: int, address: object) -> None:
        self.fd = fd
        self.name = name
        self.family = family
        self.address = address

    @property
    def where(self) -> str:
        """The address as a person writes it: `127.0.0.1:8000`, `[::1]:8000`, `unix:/run/x.sock`, `unix:@x`."""
        address = self.address
        if isinstance(address, tuple):
            return f"[{address[0]}]:{address[1]}" if self.family == AF_INET6 else f"{address[0]}:{address[1]}"
        if isinstance(address, bytes):
            address = "@" + address.lstrip(b"\0").decode("ascii", "backslashreplace")
        return f"unix:{address}"

    @property
    def label(self) -> str:
        """What logs call it: its name, and its address where it has none."""
        return self.name or self.where

    def __repr__(self) -> str:
        return f"<Listener {self.label} fd={self.fd} {self.where}>"


class Lead:
    """What a listener leads to: the app `spec`, its `kind` ("auto" until it is loaded), mounted at `root_path`.

    `app` is the object, None until it is loaded.
    """

    __slots__ = ("app", "kind", "listener", "root_path", "spec")

    def __init__(self, listener: Listener, spec: str, kind: str, root_path: str) -> None:
        self.listener = listener
        self.spec = spec
        self.kind = kind
        self.root_path = root_path
        self.app: Any = None

    def __repr__(self) -> str:
        return f"<Lead {self.listener.label} to {self.spec} ({self.kind})>"
