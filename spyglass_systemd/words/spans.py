"""Spans of time as a person writes them, the way of systemd.time(7). Knows neither options nor clocks."""

from __future__ import annotations

_SECOND = 1_000_000  # everything is summed in whole microseconds, systemd's granularity
_UNITS = {
    unit: microseconds
    for units, microseconds in (
        ("usec us µs μs", 1),  # both signs that keyboards make for micro
        ("msec ms", 1_000),
        ("seconds second sec s", _SECOND),
        ("minutes minute min m", 60 * _SECOND),
        ("hours hour hr h", 3_600 * _SECOND),
        ("days day d", 86_400 * _SECOND),
        ("weeks week w", 7 * 86_400 * _SECOND),
        ("months month M", 2_629_800 * _SECOND),  # a twelfth of a year, which the manual page rounds to 30.44 days
        ("years year y", 31_557_600 * _SECOND),  # 365.25 days
    )
    for unit in units.split()
}
_SHOWN = ("y", "month", "w", "d", "h", "min", "s", "ms", "us")
_NEVER = ("off", "never", "infinity")
_DIGITS = "0123456789"
LONGEST = 2**63 // _SECOND  # seconds, 290,000 years


def parse_span(text: str) -> float | None:
    """Seconds, or None for `off` and `never`. A bare number is seconds; `5min`, `1h 30min`, `250ms`, `1.5h` add up.

    Raises ValueError with a message that says what a span looks like.
    """
    if text.strip() in _NEVER:
        return None
    total, rest = 0, text.lstrip()
    if not rest:
        raise _wrong(text)
    while rest:
        number, rest = _split(rest, _DIGITS)
        fraction = "0"
        if rest.startswith("."):
            fraction, rest = _split(rest[1:], _DIGITS)
            number = number or "0"
        unit, rest = _split_unit(rest.lstrip())
        scale = _UNITS.get(unit or "s")
        if scale is None or not number or not fraction or (not unit and rest.startswith(".")):
            raise _wrong(text)
        total += int(number) * scale + int(fraction) * scale // 10 ** len(fraction)
        rest = rest.lstrip()
    if total >= LONGEST * _SECOND:
        raise ValueError(f"{text!r} is longer than any span: write off for never")
    return total / _SECOND


def format_span(seconds: float | None) -> str:
    """The span as systemd shows it, to the microsecond: `5min`, `1h 30min`, `1s 500ms`, `0`; `off` for None."""
    if seconds is None:
        return "off"
    rest = round(seconds * _SECOND)
    parts = []
    for unit in _SHOWN:
        count, rest = divmod(rest, _UNITS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts) or "0"


def _split(text: str, letters: str) -> tuple[str, str]:
    rest = text.lstrip(letters)
    return text[: len(text) - len(rest)], rest


def _split_unit(text: str) -> tuple[str, str]:
    end = 0
    while end < len(text) and text[end].isalpha():
        end += 1
    return text[:end], text[end:]


def _wrong(text: str) -> ValueError:
    return ValueError(f"{text!r} is not a span of time: write seconds (90) or units (5min, 1h 30min, 250ms)")
