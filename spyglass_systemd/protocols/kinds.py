"""What an app speaks, told by the shape of what is called: WSGI, ASGI or raw. It calls nothing to find out."""

from __future__ import annotations

import sys

from spyglass_systemd.words.errors import AppError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_VARARGS, _COROUTINE = 0x04, 0x80  # inspect.CO_VARARGS, inspect.CO_COROUTINE, and inspect is 10 ms
_FUNCTIONS = ("function", "method")
_OF_A_HANDLER = (
    {"connection", "conn", "sock", "socket", "client", "client_socket"},
    {"address", "addr", "peer", "client_address", "client_addr"},
)
_HINT = 'set kind = "wsgi", "asgi" or "raw" (--kind)'

# ### How are they told apart?
# By how many arguments they take, and whether a coroutine answers: WSGI is called with (environ, start_response), ASGI
# with (scope, receive, send), ASGI 2 with (scope), a raw handler with (connection, address) or, if it is a coroutine,
# (reader, writer). So two arguments of a plain function are WSGI or raw, and nothing of the function can tell; the
# names of its arguments can, and where they are a handler's we ask instead of guessing. What shows no arguments, a
# builtin or a proxy, is taken for WSGI, the older one.


class Shape:
    """How something is called: `least` to `most` positional arguments, -1 for unknown; `names` of the first ones."""

    __slots__ = ("is_coroutine", "least", "most", "names")

    def __init__(self, called: Any, bound: int) -> None:
        """`bound` is how many of the arguments the caller does not give."""
        code = getattr(called, "__code__", None)
        flags = getattr(code, "co_flags", None)
        names: tuple[str, ...] = ()
        self.is_coroutine, self.least, self.most, self.names = False, -1, -1, names
        if code is None or not isinstance(flags, int):  # an object may say anything of any of its attributes
            return
        self.is_coroutine = bool(flags & _COROUTINE)
        self.names = code.co_varnames[bound : code.co_argcount]
        self.least = max(0, code.co_argcount - len(called.__defaults__ or ()) - bound)
        self.most = sys.maxsize if flags & _VARARGS else code.co_argcount - bound

    def takes(self, count: int) -> bool:
        """Whether it can be called with `count` arguments, as far as one can see."""
        return self.least < 0 or self.least <= count <= self.most


def shape_of(app: Any) -> Shape:
    """The shape of a function, a method, a functools.partial, a class, or an object that can be called."""
    if isinstance(app, type):
        return Shape(app.__init__, 1)  # type: ignore[misc]  # of an instance that nobody has made
    wrapped = vars(app).get("__wrapped__") if type(app).__name__ == "function" else None
    if wrapped is not None and callable(wrapped):  # functools.wraps: a decorator shows *args, and means what it wraps
        return shape_of(wrapped)
    if type(app).__name__ == "partial":
        inner = shape_of(app.func)
        if inner.least >= 0:
            inner.names = inner.names[len(app.args) :]
            inner.least, inner.most = max(0, inner.least - len(app.args)), inner.most - len(app.args)
        return inner
    if type(app).__name__ in _FUNCTIONS:
        return Shape(getattr(app, "__func__", app), int(hasattr(app, "__func__")))
    return Shape(getattr(type(app), "__call__", None), 1)  # noqa: B004  # its function is wanted, not a test


def is_asgi2(app: Any) -> bool:
    """Whether an ASGI app is called with the scope alone and gives the one that is called with the rest."""
    if isinstance(app, type):
        return not hasattr(app, "__await__")
    shape = shape_of(app)
    return shape.least == 1 and not shape.takes(3)


def kind_of(app: Any, spec: str) -> str:
    """`wsgi`, `asgi` or `raw`. Raises AppError where that cannot be told, or where it is none of them."""
    if isinstance(app, type):
        return _of_a_class(app, spec)
    shape = shape_of(app)
    if shape.least < 0:
        return "asgi" if shape.is_coroutine else "wsgi"
    if shape.is_coroutine:
        if shape.takes(3):
            return "asgi"
        if shape.takes(2):
            return "raw"
    elif shape.takes(2):
        names = [name.lstrip("_") for name in shape.names]
        if len(names) > 1 and all(name in known for name, known in zip(names, _OF_A_HANDLER, strict=False)):
            raise AppError(f"{spec}({', '.join(shape.names)}) may be WSGI or a raw handler of connections", hint=_HINT)
        return "wsgi"
    elif shape.takes(3) or shape.takes(1):
        return "asgi"
    if shape.takes(0):
        raise AppError(f"{spec} takes no argument, so it is no app; it may make one", hint=f"then write {spec}()")
    raise AppError(f"{spec} takes {', '.join(shape.names)}, and no kind of app is called like that", hint=_HINT)


def _of_a_class(app: type, spec: str) -> str:
    socketserver = sys.modules.get("socketserver")  # it is there where a subclass is
    if socketserver is not None and issubclass(app, socketserver.BaseRequestHandler):
        return "raw"
    shape = shape_of(app)
    if hasattr(app, "__await__") and shape.takes(3):
        return "asgi"
    if Shape(getattr(app, "__call__", None), 1).is_coroutine and shape.least >= 0 and shape.takes(1):  # noqa: B004
        return "asgi"
    if hasattr(app, "__iter__") and shape.takes(2):
        return "wsgi"
    raise AppError(
        f"{spec} is a class, and its instances are neither WSGI nor ASGI responses nor raw handlers",
        hint=f"if an instance is the app, write {spec}(); else {_HINT}",
    )
