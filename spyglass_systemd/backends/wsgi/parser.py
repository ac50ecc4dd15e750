"""The parser of httptools (llhttp, in C) without the rest of that package. Decides nothing about a request."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    class Parser(Protocol):
        """What we use of httptools.HttpRequestParser."""

        def feed_data(self, data: bytes) -> None: ...
        def get_method(self) -> bytes: ...
        def get_http_version(self) -> str: ...


# ### Why not simply `import httptools`?
# Because of what that imports besides: `typing` and `re`, ten milliseconds of a wake of thirty, for the sake of
# annotations. The parser itself is one extension module, and needs nothing but the package's exceptions and a name to
# write `Optional[bool]` with. So it is imported from its folder, below two packages that are nothing but names and
# beside a `typing` that is nothing but that name, and these are taken away again. An app that imports httptools, or
# typing, gets the real one. Where anything is not as we know it, the package is imported as its authors meant it. So is
# Debian's old one: it imports nothing of the kind, and does not find its own modules where they are loaded already.

_PACKAGE, _PARENT, _TYPING = "httptools", "httptools.parser", "typing"


def _load() -> tuple[Any, Any]:
    """The module of the parser and that of its errors."""
    if _PACKAGE not in sys.modules:
        folder = next((f"{path}/{_PACKAGE}" for path in sys.path if os.path.isdir(f"{path}/{_PACKAGE}/parser")), "")
        if os.path.isfile(f"{folder}/parser/protocol.py"):  # what imports typing; 0.1.1 has none
            try:
                return _load_alone(folder)
            except (ImportError, AttributeError, KeyError, TypeError):
                pass
    import httptools  # noqa: PLC0415  # see above

    return httptools, httptools


def _load_alone(folder: str) -> tuple[Any, Any]:
    bare = {_PACKAGE: _module(_PACKAGE, __path__=[folder]), _PARENT: _module(_PARENT, __path__=[f"{folder}/parser"])}
    if _TYPING not in sys.modules:
        bare[_TYPING] = _module(_TYPING, Optional={bool: bool})
    sys.modules.update(bare)
    try:
        from httptools.parser import errors, parser  # noqa: PLC0415  # see above
    finally:
        for name in bare:
            del sys.modules[name]
    return parser, errors


def _module(name: str, **contents: Any) -> Any:
    made = type(sys)(name)
    made.__dict__.update(contents)
    return made


_parser, _errors = _load()
HttpRequestParser = _parser.HttpRequestParser
HttpParserError: type[Exception] = _errors.HttpParserError
HttpParserInvalidMethodError: type[Exception] = _errors.HttpParserInvalidMethodError
HttpParserUpgrade: type[Exception] = _errors.HttpParserUpgrade
