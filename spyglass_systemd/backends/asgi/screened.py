"""Answers the requests that an operator has listed, while the app is awake: without it. Knows no connection.

Installed only where there is such a list. The app is not asked, and it counts as no activity.
"""

from __future__ import annotations

import asyncio

from spyglass_systemd.backends.asgi import names
from spyglass_systemd.backends.asgi.books import Tasks
from spyglass_systemd.words.rules import find

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from spyglass_systemd.words.rules import Rule

# ### How is a request counted that is none?
# Not at once. uvicorn puts the task of a request into our set before it begins to run; that it is a probe is known when
# it runs, by then. So each is written down a turn of the loop later, and a probe has by then said that it is one. The
# price, a callback for each request, is paid only where there is a list.


class ScreenedTasks(Tasks):
    """Calls of the app, without those that were `overlook`ed."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._overlooked: set[Any] = set()

    def overlook(self, task: Any) -> None:
        """This task does not ask the app."""
        self._overlooked.add(task)

    def add(self, task: Any) -> None:
        set.add(self, task)
        self._loop.call_soon(self._count, task)

    def _count(self, task: Any) -> None:
        if task not in self._overlooked:
            super().add(task)

    def discard(self, task: Any) -> None:
        if task not in self._overlooked:
            super().discard(task)
            return
        self._overlooked.remove(task)
        set.discard(self, task)


class Screened:
    """An ASGI 3 app around an ASGI 3 app; `overlook` is told of each task that does not ask it."""

    def __init__(self, app: Any, rules: tuple[Rule, ...], overlook: Callable[[Any], None]) -> None:
        self._app = app
        self._rules = rules
        self._overlook = overlook
        self._paths_have_root = names.paths_have_root(names.version())

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        rule = find(self._rules, scope["method"], self._target(scope)) if scope["type"] == "http" else None
        if rule is None or (not rule.close and not _bare(scope)):
            await self._app(scope, receive, send)
            return
        self._overlook(asyncio.current_task())
        if rule.close:
            names.hang_up(send)
            while (await receive())["type"] != "http.disconnect":
                pass
            return
        text = rule.text.encode()
        headers = [(b"cache-control", b"no-store"), (b"connection", b"close")]
        if rule.status != 204:
            headers += [
                (b"content-type", b"text/plain; charset=utf-8"),
                (b"content-length", str(len(text)).encode()),
            ]
        await send({"type": "http.response.start", "status": rule.status, "headers": headers})
        await send({"type": "http.response.body", "body": text})

    def _target(self, scope: Any) -> str:
        """As it stands in the request line, or nearly: uvicorn puts the place where the app is mounted before it."""
        target = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
        return str(target.removeprefix(scope.get("root_path", "")) if self._paths_have_root else target)


def _bare(scope: Any) -> bool:
    """Whether the request ends with its head, and waits for nothing before its answer."""
    fields = dict(scope["headers"])
    return fields.get(b"content-length", b"0").strip(b"0") == b"" and not {b"transfer-encoding", b"expect"} & {*fields}
