"""What is answered without the app: rules as an operator lists them under `[[screen]]`. Answers nothing itself."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")
_USUAL = ("GET", "HEAD")
_KEYS = ("path", "methods", "status", "text", "close")
_BODILESS = 204
_EXAMPLE = 'as in [[screen]] path = "/healthz" text = "ok"'


class Rule:
    """Requests for one of `paths` by one of `methods` get `status` and `text`, or with `close` the end.

    A path is the whole path, or has one `*`, which stands for anything, slashes too.
    """

    __slots__ = ("close", "methods", "paths", "status", "text")

    def __init__(
        self,
        paths: tuple[str, ...],
        methods: tuple[str, ...] = _USUAL,
        status: int = 200,
        text: str = "",
        *,
        close: bool = False,
    ) -> None:
        self.paths = paths
        self.methods = methods
        self.status = status
        self.text = text
        self.close = close

    def covers(self, path: str) -> bool:
        """Whether a path, as it stands in the request line and without a query, is one of this rule's."""
        for pattern in self.paths:
            before, star, after = pattern.partition("*")
            if not star:
                if path == before:
                    return True
            elif len(path) >= len(before) + len(after) and path.startswith(before) and path.endswith(after):
                return True
        return False

    def __repr__(self) -> str:
        return f"<Rule {' '.join(self.methods)} {' '.join(self.paths)} {'close' if self.close else self.status}>"


def find(rules: tuple[Rule, ...], method: str, target: str) -> Rule | None:
    """The first rule for a request, by its method and its target as it came."""
    path = target.partition("?")[0]
    for rule in rules:
        if method in rule.methods and rule.covers(path):
            return rule
    return None


def parse(value: object) -> tuple[Rule, ...]:
    """The rules that a list of TOML tables says. Raises ValueError with what is wrong with which."""
    if not isinstance(value, list) or not all(isinstance(table, dict) for table in value):
        raise ValueError(f"{value!r} is not a list of tables, {_EXAMPLE}")
    return tuple(_rule(table, f"rule {number}") for number, table in enumerate(value, 1))


def _rule(table: dict[str, Any], which: str) -> Rule:
    for key in table:
        if key not in _KEYS:
            raise ValueError(f"{which}: {key!r} is not one of {', '.join(_KEYS)}")
    paths = tuple(_path(path, which) for path in _several(table.get("path", []), f"{which}: path"))
    if not paths:
        raise ValueError(f"{which} has no path, {_EXAMPLE}")
    methods = _several(table.get("methods", list(_USUAL)), f"{which}: methods")
    for method in methods:
        if method not in METHODS:
            raise ValueError(f"{which}: {method!r} is not one of {', '.join(METHODS)}")
    status, text, close = table.get("status", 200), table.get("text", ""), table.get("close", False)
    if not isinstance(close, bool):
        raise ValueError(f"{which}: close is true or false, not {close!r}")  # noqa: TRY004  # as all of these
    if close and {"status", "text"} & table.keys():
        raise ValueError(f"{which}: close says nothing, so status and text do not go with it")
    if isinstance(status, bool) or not isinstance(status, int) or not (200 <= status < 300 or 400 <= status < 600):
        raise ValueError(f"{which}: status is a number from 200 to 299 or from 400 to 599, not {status!r}")
    if not isinstance(text, str) or (text and status == _BODILESS):
        raise ValueError(f"{which}: text is the body of the answer, which 204 does not have, not {text!r}")
    return Rule(paths, methods, status, text, close=close)


def _several(value: object, what: str) -> tuple[str, ...]:
    """One text or a list of them."""
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(each, str) for each in values):
        raise ValueError(f"{what} is text or a list of texts, not {value!r}")
    return tuple(values)


def _path(path: str, which: str) -> str:
    if not path.startswith(("/", "*")) or path.count("*") > 1 or not path.isascii() or not path.isprintable():
        raise ValueError(f"{which}: a path begins with / and may have one *, as in /wp-* or *.php: not {path!r}")
    if path in {"*", "/*"}:
        raise ValueError(f"{which}: {path} is every request, and the app would never wake")
    if any(mark in path for mark in "?# "):
        raise ValueError(f"{which}: a path has no query, fragment or space: not {path!r}")
    return path
