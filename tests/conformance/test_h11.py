"""The same bytes to our worker and to h11's parser: where both take a request, it is the same one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import CORPUS, NEXT, h11s, mutated, ours
from talk import Counter, answers, echo


def compare(data):
    mine, closed = ours(data)
    theirs = h11s(data)
    for (method, _, body), (their_method, _, their_body) in zip(mine, theirs, strict=False):
        assert (method, body) == (their_method, their_body), data
    assert closed or len(mine) >= len(theirs), (data, mine, theirs)


@pytest.mark.parametrize("data", CORPUS, ids=range(len(CORPUS)))
def test_each_row_is_divided_as_h11_divides_it_or_refused(data):
    compare(data + NEXT)


@given(mutated())
@settings(max_examples=400)
def test_what_we_take_h11_divides_in_the_same_way(data):
    compare(data)


@given(mutated(), st.data())
@settings(max_examples=200)
def test_any_split_of_the_same_bytes_gives_the_same_answers(data, draw):
    cuts = sorted(draw.draw(st.sets(st.integers(1, max(1, len(data) - 1)), max_size=6)))
    pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    whole, end = Counter(echo).talk([data])
    parts, end_of_parts = Counter(echo).talk(pieces)

    def short(said):
        return [answer.short for answer in answers(said, heads=b"HEAD " in data) if answer.code != 100]

    assert (short(parts), end_of_parts) == (short(whole), end)
