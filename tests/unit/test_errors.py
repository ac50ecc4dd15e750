"""The errors that a person sees."""

from __future__ import annotations

import pytest

from spyglass_systemd.words.errors import ActivationError, AppError, ConfigError, SpyglassError, UsageError


def test_an_error_says_what_happened_and_what_to_try():
    error = SpyglassError("no listener", hint="start the .socket unit")
    assert str(error) == "no listener\n  start the .socket unit"
    assert error.summary == "no listener (start the .socket unit)"


def test_an_error_without_a_hint_is_its_message():
    error = SpyglassError("no listener")
    assert str(error) == error.summary == "no listener"


def test_an_apps_error_has_the_apps_traceback():
    assert AppError("no module", hint="chdir", trace="Traceback ...").trace == "Traceback ..."
    assert AppError("no module").trace == ""


@pytest.mark.parametrize(
    ("error", "code"),
    [(SpyglassError, 70), (UsageError, 64), (AppError, 69), (ConfigError, 78), (ActivationError, 78)],
)
def test_the_exit_code_goes_with_the_kind(error, code):
    assert error("x").exit_code == code
