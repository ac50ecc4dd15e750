"""A scoreboard that an app has written: a board with nothing in it that cannot be, or a reason why not."""

from __future__ import annotations

from spyglass_systemd.protocols import row as cells
from spyglass_systemd.protocols import scoreboard as header
from spyglass_systemd.tools import board
from spyglass_systemd.tools.foreign import ForeignError

SIZE = header.HEADER_CELLS + 2 * cells.ROW_CELLS
MAX = SIZE * 3  # bytes of one input


def check(data):
    """Raises whatever should not be. `data` is (cell, value, scale) by threes, put into a good scoreboard."""
    found = good()
    for at in range(0, len(data) - 2, 3):
        cell, value, scale = data[at : at + 3]
        found[(cell + (scale & 1) * 256) % SIZE] = (value - 128) << (scale >> 2)
    image = b"".join((cell & (1 << 64) - 1).to_bytes(8, "little") for cell in found)
    if data and data[-1] & 7 == 7:
        image = image[: len(image) * data[-1] // 256]
    try:
        seen = board.parse(image)
    except ForeignError as error:
        assert error.message.isprintable()
        return
    assert len(seen.workers) <= 2
    for worker in seen.workers:
        assert min(worker.pid, worker.open, worker.accepted, worker.busy_since_ns) >= 0
        assert all(name.isprintable() for name in worker.lease_names)
    assert repr(seen).isprintable()


def good():
    """The cells of a scoreboard with two rows, one of them taken."""
    found = [0] * SIZE
    found[header.H_MAGIC], found[header.H_VERSION], found[header.H_ROWS] = header.MAGIC, header.VERSION, 2
    first = header.HEADER_CELLS
    found[first + cells.PID], found[first + cells.STATE] = 4711, cells.ACCEPTING
    found[first + cells.LEASE_FIRST], found[first + cells.LEASE_FIRST + 1] = 1, int.from_bytes(b"import", "little")
    return found


def seeds():
    """None changed, one, several, cut."""
    return [b"", b"\x01\x81\0", b"\x02\xff\x08", b"\x28\x00\x80\x29\x81\x04", b"\x00\x00\x07", bytes(range(60))]
