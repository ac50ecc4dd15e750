"""A span of time as the value of a verb's option. Knows no verb."""

from __future__ import annotations

import click

from spyglass_systemd.words.spans import parse_span


def span(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """Seconds, of text like `5min`; None where the option is not there. A callback of click.option."""
    if value is None:
        return None
    try:
        seconds = parse_span(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None
    if seconds is None:
        raise click.BadParameter(f"{value!r} is no time: write 5min, 1h 30min, 2d", ctx, param)
    return seconds
