"""What is told of an error when the error does not want to be told."""

from __future__ import annotations

import io
import logging

import pytest

from spyglass_systemd.backends import trouble


def unreadable():
    return SyntaxError("m", ("f", 1, "x", "text"))


class MuteError(Exception):
    """Its text is made by code that fails."""

    def __str__(self):
        raise RuntimeError


class LeavingError(Exception):
    """Its text ends the process, or tries to."""

    def __str__(self):
        raise SystemExit(3)


def raised(error):
    with pytest.raises(type(error)) as caught:
        raise error
    return caught.value


@pytest.mark.parametrize("tell", [trouble.told, trouble.trace])
def test_an_error_is_told_with_where_it_was_raised(tell):
    text = tell(raised(ValueError("broken")))
    assert "ValueError: broken\n" in text
    assert "in raised" in text


@pytest.mark.parametrize("error", [unreadable(), MuteError(), LeavingError()])
def test_of_an_error_that_cannot_be_told_there_is_its_type_and_where_it_was_raised(error):
    text = trouble.told(raised(error))
    assert text.startswith(type(error).__name__)
    assert "in raised" in text
    assert type(error).__name__ in trouble.trace(raised(error))


def test_who_is_short_of_descriptors_tells_what_he_can(monkeypatch):
    def none(_error):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(trouble, "trace_of", none)
    assert trouble.told(raised(ValueError("broken"))).startswith("ValueError")


@pytest.mark.parametrize("error", [unreadable(), MuteError(), LeavingError(), ValueError("broken")])
def test_a_logger_that_is_given_such_an_error_raises_nothing(error):
    logger, said = logging.getLogger("test_trouble"), io.StringIO()
    logger.handlers = [logging.StreamHandler(said)]
    logger.addFilter(trouble.tellable)
    logger.error("in the app", exc_info=raised(error))
    logger.error("without one")
    assert "in raised" in said.getvalue()
    assert said.getvalue().endswith("without one\n")
