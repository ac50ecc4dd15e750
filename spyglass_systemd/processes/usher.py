"""Sends visitors to workers: one that can take him now, and has least to do. Looks at nobody's bytes."""

from __future__ import annotations

import os
import time

from spyglass_systemd.processes.guest import HANDED, WAITING
from spyglass_systemd.processes.roster import ACCEPTING, BOOTING
from spyglass_systemd.words.reports import Visitor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from spyglass_systemd.processes.alarm import Alarm
    from spyglass_systemd.processes.guest import Guest
    from spyglass_systemd.processes.roster import WorkerHandle

_LOOK = 0.005  # seconds between two looks for a worker that is free
_SHORT = 1.0  # seconds that a worker without a descriptor is sent nobody

# ### May a connection be lost on the way to a worker?
# No. Its descriptor is sent over the worker's channel, and ours stays open until the worker says that it has it. When
# the worker dies before, or has no descriptor for it, it is waiting again, for the next one. When no worker will come,
# the fuse has it.
#
# ### Why one at a time?
# Because a worker that has taken somebody must serve him, and while the app runs for one another worker may be idle. In
# the backlog a visitor is anybody's; here he is until he is sent. So each worker is sent the next one only when it has
# taken the last, and none while the app keeps its loop: a request that takes long keeps nobody waiting who came after.


class Usher:
    """For the `guests` of a lobby, by their descriptors."""

    def __init__(self, guests: Mapping[int, Guest]) -> None:
        self._guests = guests
        self._short: dict[int, float] = {}  # until when, for workers that have no descriptor left

    def hand(
        self, kinds: Mapping[int, str], workers: Iterable[WorkerHandle], alarm: Alarm | None, *, ahead: bool
    ) -> None:
        """Send those who wait. `kinds`: what the app of each listener speaks; `ahead`: a worker that boots will do."""
        waiting = [(guest, kinds[guest.listener]) for guest in self._guests.values() if guest.state == WAITING]
        if not waiting:
            return
        taken = {guest.worker for guest in self._guests.values() if guest.state == HANDED}
        free = [worker for worker in workers if worker.number not in taken and self._can(worker, alarm)]
        pairs, again = assign(waiting, free, one_kind=len(set(kinds.values())) == 1, ahead=ahead)
        for guest, worker in pairs:
            try:
                copy = os.dup(guest.fd)
            except OSError:  # EMFILE: another turn
                return
            guest.state, guest.worker = HANDED, worker.number
            worker.channel.send(Visitor(guest.fd, guest.listener), (copy,))
        if again and alarm is not None:
            alarm.due(alarm.now + _LOOK)  # the end of a request is no message

    def declined(self, guest: Guest) -> None:
        """His worker cannot have him; he waits for another, or for better times."""
        guest.state = WAITING
        self._short[guest.worker] = time.monotonic() + _SHORT

    def _can(self, worker: WorkerHandle, alarm: Alarm | None) -> bool:
        until = self._short.get(worker.number)
        if until is None or alarm is None:
            return True
        if alarm.due(until):
            del self._short[worker.number]
            return True
        return False


def assign(
    waiting: list[tuple[Guest, str]], workers: list[WorkerHandle], *, one_kind: bool, ahead: bool
) -> tuple[list[tuple[Guest, WorkerHandle]], bool]:
    """Pairs of a visitor and the worker for him; and whether to ask again soon, for a worker that is held up.

    `waiting` has the kind of app that each is for, `workers` who has nobody on the way to it. `one_kind`: all apps are
    of one kind, so that it is known before they are loaded. `ahead`: one that boots will do, and finds him there.
    """
    states = (BOOTING, ACCEPTING) if ahead else (ACCEPTING,)
    there = [worker for worker in workers if worker.state in states and worker.died is None]
    free = [worker for worker in there if not _held_up(worker)]
    pairs = []
    for guest, kind in waiting:
        mine = [worker for worker in free if worker.kind in (kind, "unknown") or (not worker.kind and one_kind)]
        if mine:
            worker = min(mine, key=lambda each: each.row.open)
            free.remove(worker)
            pairs.append((guest, worker))
    return pairs, len(pairs) < len(waiting) and any(_held_up(worker) for worker in there)


def _held_up(worker: WorkerHandle) -> bool:
    """Whether app code runs in the loop that would have to welcome somebody."""
    return worker.kind == "wsgi" and worker.row.busy_since_ns > 0
