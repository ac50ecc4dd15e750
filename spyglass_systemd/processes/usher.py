"""Which worker a visitor goes to: one that can take him now, and has least to do. Sends nobody anywhere."""

from __future__ import annotations

from spyglass_systemd.processes.roster import ACCEPTING, BOOTING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from spyglass_systemd.processes.guest import Guest
    from spyglass_systemd.processes.roster import WorkerHandle

# ### Why one at a time?
# Because a worker that has taken somebody must serve him, and while the app runs for one another worker may be idle. In
# the backlog a visitor is anybody's; here he is until he is sent. So each worker is sent the next one only when it has
# taken the last, and none while the app keeps its loop: a request that takes long keeps nobody waiting who came after.


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
