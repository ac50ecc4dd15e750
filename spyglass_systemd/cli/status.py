"""`spyglass status`: one site in detail, or a line for each."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from spyglass_systemd.cli.command import command as _command
from spyglass_systemd.cli.command import of_sites
from spyglass_systemd.cli.screen import console, line, table
from spyglass_systemd.tools import condition, status
from spyglass_systemd.words.spans import format_span
from spyglass_systemd.words.states import State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from spyglass_systemd.tools.places import Places, Site
    from spyglass_systemd.tools.status import Status

_COLOURS = {
    State.ASLEEP.value: "blue",
    State.DOZING.value: "blue",
    State.AWAKE.value: "green",
    State.FAILED.value: "bold red",
    condition.DEAF: "bold red",
    condition.CRASHED: "bold red",
    condition.RESTARTING: "bold red",
    condition.OFF: "dim",
}
_HEADINGS = ("SITE", "STATE", "FOR", "SLEEPS IN", "WORKERS", "OPEN", "REQUESTS", "MEMORY", "")
_ERROR_LINES = 12


@_command
@of_sites(changes=False)
@click.argument("name", required=False, metavar="[NAME]")
@click.option("--json", "as_json", is_flag=True, help="For programs: an object, or of all sites a list of them.")
def command(places: Places, name: str | None, *, as_json: bool) -> int:
    """Shows how a site is, or all of them: its state, its workers, why it stays up, when it sleeps, what broke.

    Looking wakes no app. What systemd says counts; what an app says of itself is shown, and not believed.

    The exit code is 0 where all is well, asleep or awake; 3 where nobody listens for the site; 69 where the app fails,
    or nobody can reach it. Of all sites it is 69 where one of them has that, else 0.
    """
    found = status.look(_asked_for(places, name))
    codes = [one.condition.code for one in found]
    if as_json:
        told = [_as_json(one) for one in found]
        sys.stdout.write(json.dumps(told[0] if name else told, indent=2) + "\n")
    elif name:
        _show(console(), found[0])
    elif found:
        _show_all(console(), found)
    else:
        make = f"spyglass new NAME APP{' --user' if places.user else ''}"
        sys.stdout.write(f"There is no site: no file in {places.config}. `{make}` makes one.\n")
    if name:
        return codes[0]
    return condition.FAILED if condition.FAILED in codes else condition.FINE


def _asked_for(places: Places, name: str | None) -> list[Site]:
    """The one, or all; one whose file is gone is a site as long as somebody listens for it."""
    if not name:
        return sorted([*places.sites(), *status.orphans(places)], key=lambda site: site.name)
    site = places.site(name)
    return [site if not site.config.exists() and site in status.orphans(places) else places.known(name)]


def _show(out: Console, one: Status) -> None:
    for trouble, cure in one.trouble:
        line(out, (trouble, "bold red"))
        if cure:
            line(out, (f"  {cure}", ""))
    state = one.condition.state
    since = f" for {_ago(one)}" if one.condition.since else ""
    line(out, (one.name, "bold"), (": ", ""), (state, _COLOURS.get(state, "yellow")), (f"{since}{_sleeps(one)}", ""))
    for label, text in _details(one):
        line(out, (f"  {label:<11}", "dim"), (text, ""))


def _details(one: Status) -> Iterator[tuple[str, str]]:
    listeners = one.condition.listeners
    for listener in listeners:
        yield "listens on", listener.address + ("" if listener.active else " (not now)")
    if any(listener.active for listener in listeners) and not one.enabled:
        yield "", f"not after the next boot: `spyglass enable {one.typed}` makes it stay"
    for reason in one.stays:
        yield "stays up", reason
    if one.condition.pid:
        yield "master", f"pid {one.condition.pid}"
    if one.condition.says not in {"", one.condition.state}:
        yield "says", one.condition.says
    for worker in one.board.workers if one.board else ():
        counts = f"{worker.open} open, {worker.in_flight} under way, {worker.requests} requests"
        yield f"worker {worker.number}", f"pid {worker.pid}, {worker.state}: {counts}"
    if one.board is not None and any(one.board.phases_us.values()):
        yield "last wake", ", ".join(f"{name} {us / 1000:.0f} ms" for name, us in one.board.phases_us.items() if us)
    if one.condition.memory is not None:
        yield "memory", _mebibytes(one.condition.memory)
    for at, text in enumerate(_cut(one.error)):
        yield "" if at else "error", text


def _show_all(out: Console, found: list[Status]) -> None:
    rows = [[(heading, "dim") for heading in _HEADINGS]]
    for one in found:
        board, state = one.board, one.condition.state
        remark = next((text for text, _ in one.trouble), "") or next(iter(one.error), "") or ", ".join(one.stays)
        rows.append(
            [
                (one.name, "bold"),
                (state, _COLOURS.get(state, "yellow")),
                (_ago(one), ""),
                (_span(one.sleeps_in), ""),
                (str(len(board.workers)) if board else "", ""),
                (str(board.seen.open) if board else "", ""),
                (str(board.seen.requests) if board else "", ""),
                (_mebibytes(one.condition.memory) if one.condition.memory is not None else "", ""),
                (remark, "red" if one.condition.code == condition.FAILED else "dim"),
            ]
        )
    table(out, rows)


def _as_json(one: Status) -> dict[str, object]:
    board, judged = one.board, one.condition
    return {
        "name": one.name,
        "state": judged.state,
        "code": judged.code,
        "since_seconds": round(one.now - judged.since, 3) if judged.since else None,
        "sleeps_in_seconds": round(one.sleeps_in, 3) if one.sleeps_in is not None else None,
        "stays": list(one.stays),
        "error": "\n".join(one.error),
        "trouble": [{"what": what, "cure": cure} for what, cure in one.trouble],
        "enabled": one.enabled,
        "listeners": [
            {"unit": each.unit, "address": each.address, "active": each.active, "reachable": each.reachable}
            for each in judged.listeners
        ],
        "says": judged.says,
        "pid": judged.pid,
        "memory_bytes": judged.memory,
        "workers": [
            {name: getattr(worker, name) for name in worker.__slots__} for worker in (board.workers if board else ())
        ],
        "requests": board.seen.requests if board else None,
        "connections": board.seen.accepted if board else None,
        "open": board.seen.open if board else None,
        "generation": board.generation if board else None,
        "wake_us": board.phases_us if board else None,
    }


def _sleeps(one: Status) -> str:
    if one.sleeps_in is None:
        return ""
    return f", sleeps in {_span(one.sleeps_in)}" if one.sleeps_in >= 1 else ", about to sleep"


def _ago(one: Status) -> str:
    return _span(one.now - one.condition.since) if one.condition.since else ""


def _span(seconds: float | None) -> str:
    """To the second, and not more than two units of it."""
    if seconds is None:
        return ""
    return " ".join(format_span(float(max(0, int(seconds)))).split()[:2]).removesuffix("0") or "0s"


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"


def _cut(lines: tuple[str, ...]) -> tuple[str, ...]:
    if len(lines) <= _ERROR_LINES:
        return lines
    return (lines[0], "[...]", *lines[-_ERROR_LINES + 2 :])
