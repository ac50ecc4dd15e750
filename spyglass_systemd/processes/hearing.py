"""Whom the Master hears below it: what to poll of each process, and what to call then. Reads nothing itself."""

from __future__ import annotations

import select

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from spyglass_systemd.processes.crew import Crew
    from spyglass_systemd.protocols.control import Channel

    _T = TypeVar("_T")
    Sources = dict[int, tuple[int, Callable[[], None]]]


def sources(crew: Crew) -> Sources:
    """By descriptor: the events of poll(2), and what hears it."""
    found: Sources = {}
    for generation in crew.roster.generations.values():
        if generation.pidfd >= 0:
            found[generation.pidfd] = (select.POLLIN, _bind(crew.bury_template, generation))
        _listen_to(found, generation.channel, _bind(crew.hear_template, generation))
    for worker in crew.roster.workers():
        if worker.pidfd >= 0 and worker.died is None:
            found[worker.pidfd] = (select.POLLIN, _bind(crew.notice_death, worker))
        _listen_to(found, worker.channel, _bind(crew.hear_worker, worker))
    return found


def _listen_to(found: Sources, channel: Channel, call: Callable[[], None]) -> None:
    if not channel.closed:
        found[channel.fileno()] = (select.POLLIN | (select.POLLOUT if channel.pending else 0), call)


def _bind(call: Callable[[_T], None], value: _T) -> Callable[[], None]:
    return lambda: call(value)
