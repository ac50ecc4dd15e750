"""The lifespan of an ASGI app in one worker (ASGI specification, lifespan protocol 2.0). Knows no connection."""

from __future__ import annotations

import asyncio

from spyglass_systemd.backends.trouble import trace
from spyglass_systemd.words.errors import AppError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# ### When does an app not speak lifespan, and when does it fail?
# An app that does not know the scope's type raises at once, whatever it raises. One that has asked for the first event
# knows it, and what it raises after that is a failure: of its database, its migrations, its configuration. To take that
# for "not supported" would serve an app that has not started.


class Lifespan:
    """`startup` before the first connection, `shutdown` after the last; `state` is what the app left for requests."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._answer: asyncio.Future[str] | None = None
        self._task: asyncio.Task[None] | None = None
        self._asked = False
        self.supported = True
        self.state: dict[str, Any] = {}

    async def startup(self) -> None:
        """Raises AppError where the app says that its startup failed, or fails in it."""
        loop = asyncio.get_running_loop()
        self._answer = loop.create_future()
        self._task = loop.create_task(self._run())
        await self._say("lifespan.startup")

    async def shutdown(self, limit: float) -> None:
        """Wait at most `limit` seconds for the app to end in order. Raises AppError where that fails."""
        if not self.supported or self._task is None or self._task.done():
            return
        self._answer = asyncio.get_running_loop().create_future()
        try:
            await asyncio.wait_for(self._say("lifespan.shutdown"), limit)
        except TimeoutError:
            raise AppError(f"the lifespan's shutdown did not end within {limit:g}s") from None

    async def _say(self, event: str) -> None:
        assert self._answer is not None and self._task is not None  # noqa: PT018, S101  # both callers have made them
        await self._events.put({"type": event})
        waited_for: set[asyncio.Future[Any]] = {self._answer, self._task}
        await asyncio.wait(waited_for, return_when=asyncio.FIRST_COMPLETED)
        if self._answer.done():
            told = self._answer.result()
            if told:
                raise AppError(f"{event} failed: {told.strip().rpartition(chr(10))[2]}", trace=told)
            return
        error = asyncio.CancelledError() if self._task.cancelled() else self._task.exception()
        if isinstance(error, AppError):
            raise error
        if error is None or not self._asked:
            self.supported = False
        elif event == "lifespan.startup":
            raise AppError(f"{type(error).__name__} in the lifespan's startup: {error}", trace=trace(error))

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self._app(scope, self._receive, self._send)
        except (SystemExit, KeyboardInterrupt) as error:  # which would end the loop, and leave nobody to say why
            raise AppError(f"{type(error).__name__}({error}) in the lifespan", trace=trace(error)) from None

    async def _receive(self) -> dict[str, Any]:
        self._asked = True
        return await self._events.get()

    async def _send(self, message: dict[str, Any]) -> None:
        if self._answer is not None and not self._answer.done():
            failed = message["type"].endswith(".failed")
            self._answer.set_result((message.get("message") or "no reason given") if failed else "")
