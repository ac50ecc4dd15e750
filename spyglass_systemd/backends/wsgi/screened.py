"""Answers the requests that an operator has listed, while the app is awake: without it. Knows no socket.

Installed only where there is such a list. The app is not asked, and it counts as no activity.
"""

from __future__ import annotations

from spyglass_systemd.policy import screening
from spyglass_systemd.words.rules import find

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from spyglass_systemd.backends.wsgi.connection import Connection
    from spyglass_systemd.backends.wsgi.head import Request
    from spyglass_systemd.backends.wsgi.loop import Loop
    from spyglass_systemd.words.rules import Rule

    Answer = Callable[[Connection, Request], None]


def screened(loop: Loop, rules: tuple[Rule, ...], ask: Answer) -> Answer:
    """In place of `ask`, which gives a request to the app."""

    def answer(connection: Connection, request: Request) -> None:
        rule = find(rules, request.method, request.target)
        if rule is None or (not rule.close and (request.length or request.expects)):
            ask(connection, request)
            return
        connection.framing.close()
        if rule.close:
            connection.lose()
            return
        loop.refused(connection, rule.status)
        date = loop.service.date.line()
        connection.outlet.say(screening.answer(rule, date, body=request.method != "HEAD"))
        connection.proceed()

    return answer
