"""Messages as bytes and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spyglass_systemd.words import reports
from spyglass_systemd.words.reports import TEXT_LIMIT, Broken, Forked, Quiesced, Said, Stop, decode, encode

KINDS = sorted(reports._CLASSES.values(), key=lambda cls: cls.__name__)
INTS = st.integers(-(2**63), 2**63 - 1)
# Everything a str can hold: lone surrogates (not in the alphabet of st.text by default), NUL, what takes 1 to 4 bytes.
TEXTS = st.text(st.characters(exclude_categories=()), max_size=50)


def fields_of(cls, texts=TEXTS):
    kinds = cls.__annotations__ if cls.__slots__ else {}
    return st.tuples(*(INTS if kinds[slot] == "int" else texts for slot in cls.__slots__))


any_report = st.one_of([fields_of(cls).map(lambda values, cls=cls: cls(*values)) for cls in KINDS])


# ### There and back


@given(any_report)
def test_what_is_sent_is_what_arrives(report):
    arrived = decode(encode(report))
    assert type(arrived) is type(report)
    for slot in report.__slots__:
        value = getattr(report, slot)
        assert getattr(arrived, slot) == (value.replace("\0", "\ufffd") if isinstance(value, str) else value)
    assert arrived == report
    assert hash(arrived) == hash(report)


@pytest.mark.parametrize("cls", KINDS, ids=lambda cls: cls.__name__)
def test_every_field_has_a_type_that_the_wire_knows(cls):
    kinds = cls.__annotations__ if cls.__slots__ else {}
    assert set(kinds) == set(cls.__slots__)
    assert set(kinds.values()) <= {"int", "str"}


def test_every_report_can_be_sent():
    defined = {cls for cls in vars(reports).values() if isinstance(cls, type) and issubclass(cls, reports.Report)}
    assert set(KINDS) == defined - {reports.Report}


def test_surrogates_arrive():
    """An exception's text can hold them, a file's name that is no UTF-8, half an emoji that was cut."""
    text = "\ud800 \udcff \ud83d\ude00 a\udfffb"
    assert decode(encode(Broken(text, ""))).summary == text


def test_a_nul_is_replaced_and_splits_nothing():
    report = decode(encode(Broken("a\0b", "\0")))
    assert (report.summary, report.trace) == ("a\ufffdb", "\ufffd")


# ### Too long


@given(st.sampled_from(["a", "ä", "€", "😀", "\ud800"]), st.integers(0, 5), st.integers(0, 3))
def test_a_text_that_is_too_long_keeps_its_beginning_and_its_end(character, over, ascii_first):
    """Whatever its characters take, and wherever the cut falls."""
    size = len(character.encode("utf-8", "surrogatepass"))
    text = "x" * ascii_first + character * ((TEXT_LIMIT + over) // size + 1) + "the end"
    arrived = decode(encode(Broken(text, ""))).summary
    assert len(arrived.encode("utf-8", "surrogatepass")) <= TEXT_LIMIT
    head, mark, tail = arrived.partition("\n[...]\n")
    assert mark
    assert text.startswith(head)
    assert text.endswith(tail)
    assert len(head + tail) * size > TEXT_LIMIT - 30


def test_a_text_that_just_fits_is_left_alone():
    assert decode(encode(Broken("x" * TEXT_LIMIT, ""))).summary == "x" * TEXT_LIMIT


@given(st.integers(TEXT_LIMIT - 3, TEXT_LIMIT + 50))
def test_what_was_cut_is_equal_to_what_was_sent(length):
    report = Broken("😀" * length, "x" * length)
    assert decode(encode(report)) == report


def test_the_longest_message_fits_into_any_socket():
    longest = Broken("😀" * 10**6, "\ufffd" * 10**6)
    assert len(encode(longest)) < 100 * 1024  # net.core.wmem_default is 208 KiB


# ### From strangers


@given(st.binary().filter(lambda data: data != b"Stop"))
def test_foreign_bytes_are_refused(data):
    with pytest.raises(ValueError, match=r"."):
        decode(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"Report",
        b"Stop\0",
        b"Stop\0more",
        b"stop",
        b"Quiesced\x001\x002",
        b"Quiesced\x001\x002\x003\x004",
        b"Quiesced\x001\x002\x00x",
        b"Quiesced\x001\x002\x00",
        b"Quiesced\x001\x002\x001.5",
        b"Said\x00\xff\x003\x00text",
        b"Quiesced\x001\x002\x009223372036854775808",
        b"Quiesced\x001\x002\x00-9223372036854775809",
        b"Quiesced\x001\x002\x00" + b"9" * 5000,
    ],
)
def test_what_encode_did_not_make_is_refused(data):
    with pytest.raises(ValueError, match=r"."):
        decode(data)


@given(any_report, st.data())
def test_a_message_with_a_byte_changed_is_another_message_or_none(report, data):
    message = bytearray(encode(report))
    at = data.draw(st.integers(0, len(message) - 1))
    message[at] = data.draw(st.integers(0, 255))
    try:
        arrived = decode(bytes(message))
    except ValueError:
        return
    assert type(arrived) in KINDS


# ### Values


def test_a_report_has_exactly_its_fields():
    with pytest.raises(TypeError, match=r"Forked takes .*'worker', 'pid', 'fork_us'"):
        Forked(1, 2)
    with pytest.raises(TypeError):
        Stop(1)
    with pytest.raises(AttributeError):
        Stop().number = 1


def test_equal_reports_are_equal_and_others_are_not():
    assert Forked(1, 2, 3) == Forked(1, 2, 3)
    assert Forked(1, 2, 3) != Forked(1, 2, 4)
    assert Forked(1, 2, 3) != Quiesced(1, 2, 3)
    assert Stop() != "Stop"
    assert len({Stop(), Stop(), Forked(1, 2, 3)}) == 2


def test_a_repr_is_good_enough_to_read():
    assert repr(Said("x", 6, "hello")) == "Said(event='x', level=6, text='hello')"
    assert repr(Stop()) == "Stop()"
