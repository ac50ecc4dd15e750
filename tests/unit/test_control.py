from __future__ import annotations

from spyglass_systemd.protocols import control
from spyglass_systemd.words.reports import Broken, Fork, Stop

LAST_WORDS = Broken("no module named 'blog'", "")


def received(channel):
    return [report for report, _ in channel.receive()]


def test_the_last_words_of_a_peer_that_has_read_nothing_are_heard():
    """The kernel says ECONNRESET before it hands out what the dead have said."""
    ours, theirs = control.pair()
    ours.send(Fork(1, 0, 1))
    theirs.send(LAST_WORDS)
    theirs.close()
    assert received(ours) == [LAST_WORDS]
    assert ours.closed
    ours.close()


def test_the_last_words_of_a_peer_are_heard_by_one_who_speaks_to_it_first():
    ours, theirs = control.pair()
    theirs.send(LAST_WORDS)
    theirs.close()
    ours.send(Stop())
    assert not ours.pending
    assert received(ours) == [LAST_WORDS]
    assert ours.closed
    ours.close()
