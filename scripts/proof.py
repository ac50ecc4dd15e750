"""Check the model of how an app falls asleep (docs/proof) with Spin, and that each mistake in it is found."""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

MODEL = Path(__file__).resolve().parent.parent / "docs" / "proof" / "sleep.pml"

MEMORY_MIB = 4000
_DEPTH = 10_000  # steps of one run; the longest has some two hundred
_SEARCH = ("-DSAFETY", "-DNOFAIR", "-DCOLLAPSE", "-DSEPQS")
_CYCLES = ("-DNP", "-DNOFAIR", "-DCOLLAPSE", "-DSEPQS")
_SHORTEST = ("-DSAFETY", "-DNOFAIR", "-DBFS")


@dataclass(frozen=True)
class Check:
    """Something that is to hold: no promise is broken, or with `cycles`, no run goes on for ever."""

    name: str
    defines: tuple[str, ...]
    cycles: bool = False
    whole: bool = False  # all of the model happens in it


@dataclass(frozen=True)
class Mutation:
    """One mistake, and the promise that must be broken by it."""

    name: str
    promise: str
    defines: tuple[str, ...] = ()
    size: tuple[str, ...] = ("CONNECTIONS=2", "MISFORTUNES=1")


@dataclass(frozen=True)
class Outcome:
    """What Spin found. `broken` is the promise, or "" where the search was complete and found none."""

    broken: str
    states: int
    seconds: float
    mib: int
    story: list[str] = field(default_factory=list)
    idle: list[str] = field(default_factory=list)  # statements that were never reached


class ProofError(Exception):
    """Spin has not said yes or no."""


SCREENING = Check(
    "screening: 2 connections, 1 misfortune, 1 doze",
    ("CONNECTIONS=2", "MISFORTUNES=1", "DOZES=1", "SCREEN=1", "SORTED"),
)
WAKING_PAGE = Check(
    "waking page: 2 connections, 1 misfortune, 1 doze",
    ("CONNECTIONS=2", "MISFORTUNES=1", "DOZES=1", "PAGE=1", "SORTED"),
)
SHORT = (
    Check("3 connections, 1 misfortune", ("CONNECTIONS=3", "MISFORTUNES=1", "SORTED")),
    Check(
        "2 connections, 1 misfortune, 1 long request, 1 doze",
        ("CONNECTIONS=2", "MISFORTUNES=1", "LONGS=1", "DOZES=1", "SORTED"),
        whole=True,
    ),
    SCREENING,
    WAKING_PAGE,
)
USUAL = (
    Check("3 connections, 1 misfortune, 1 long request", ("CONNECTIONS=3", "MISFORTUNES=1", "LONGS=1", "SORTED")),
    SHORT[1],
    SCREENING,
    WAKING_PAGE,
    Check(
        "screening and waking page: 2 connections, 1 misfortune",
        ("CONNECTIONS=2", "MISFORTUNES=1", "SCREEN=1", "PAGE=1", "SORTED"),
    ),
    Check("1 connection, 2 misfortunes", ("CONNECTIONS=1", "MISFORTUNES=2", "SORTED")),
    Check("every run ends: 2 connections, 1 misfortune", ("CONNECTIONS=2", "MISFORTUNES=1", "SORTED"), cycles=True),
    Check(
        "nobody is lost without counts and last poll",
        ("CONNECTIONS=2", "MISFORTUNES=1", "SKIP_COUNTS", "SKIP_POLL", "LOSSES_ONLY", "SORTED"),
    ),
)
LONG = (
    Check(
        "3 connections, 1 misfortune, 1 long request, 1 doze",
        ("CONNECTIONS=3", "MISFORTUNES=1", "LONGS=1", "DOZES=1", "SORTED"),
    ),
    *USUAL[1:],
    Check("2 connections, 2 misfortunes", ("CONNECTIONS=2", "MISFORTUNES=2", "SORTED")),
)

# Where a mistake breaks the promise Idle before it can lose anybody, we look away from that: LOSSES_ONLY.
MUTATIONS = (
    Mutation("SKIP_ACKS", "Answered", ("LOSSES_ONLY",)),
    Mutation("SKIP_COUNTS", "Idle"),
    Mutation("SKIP_POLL", "Idle"),
    Mutation("STALE_ACK", "Answered", ("LOSSES_ONLY",)),
    Mutation("STALE_RETIREMENT", "Answered"),
    Mutation("FORK_IN_QUIESCE", "Answered", ("LOSSES_ONLY",)),
    Mutation("ASK_UNSETTLED", "Answered", ("LOSSES_ONLY",)),
    Mutation("NO_RESUME", "Prompt"),
    Mutation("STIRRED_ONLY", "Prompt", ("LONGS=1",)),
    Mutation("HEED_BROKEN", "Seen", size=("CONNECTIONS=1", "MISFORTUNES=1")),
    Mutation("LATE_CLOCK", "Asleep"),
    Mutation("DROP_CALLERS", "Answered"),
    Mutation("GIVE_UP_EARLY", "Answered"),
    Mutation("KILL_DISCARDED", "Answered"),
    Mutation("KILL_UNHEARD", "Answered"),
    Mutation("DEAF_LOOKOUT", "Seen"),
    Mutation("CLOSE_SILENT", "Answered"),
    Mutation("FORGET_VISITOR", "Answered", ("SCREEN=1",), ("CONNECTIONS=1", "MISFORTUNES=1")),
    Mutation("LEAVE_LOBBY", "Answered", ("SCREEN=1",), ("CONNECTIONS=1", "MISFORTUNES=0")),
)


def available() -> bool:
    """Whether Spin and a C compiler are installed."""
    return shutil.which("spin") is not None and shutil.which("gcc") is not None


def hold(check: Check) -> Outcome:
    """Search the whole of what can happen. Raises ProofError where that was not possible."""
    return _search(check.defines, _CYCLES if check.cycles else _SEARCH, "-O1", cycles=check.cycles)


def mutate(mutation: Mutation) -> Outcome:
    """Search for the shortest way to break a promise. Raises ProofError where that was not possible."""
    return _search((*mutation.size, mutation.name, *mutation.defines), _SHORTEST, "-O0", cycles=False)


def _search(defines: tuple[str, ...], options: tuple[str, ...], optimize: str, *, cycles: bool) -> Outcome:
    flags = [f"-D{define}" for define in defines]
    with tempfile.TemporaryDirectory(prefix="spyglass-proof-") as directory:
        place = Path(directory)
        shutil.copy(MODEL, place)
        said = _run(["spin", "-a", *flags, MODEL.name], place)
        if re.search(r"\berror\b", said, re.IGNORECASE) or not (place / "pan.c").exists():
            raise ProofError(said.strip())
        said = _run(["gcc", optimize, "-w", *options, f"-DMEMLIM={MEMORY_MIB}", "-o", "pan", "pan.c"], place)
        if not (place / "pan").exists():
            raise ProofError(said.strip())
        said = _run(["./pan", f"-m{_DEPTH}", *(["-l"] if cycles else [])], place)
        trail = (place / f"{MODEL.name}.trail").exists()
        story = _run(["spin", "-t", "-T", *flags, MODEL.name], place).splitlines() if trail else []
    return _outcome(said, story)


def _run(command: list[str], place: Path) -> str:
    run = subprocess.run(
        command, cwd=place, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    return run.stdout.decode(errors="replace")


def _outcome(said: str, story: list[str]) -> Outcome:
    errors = re.search(r"errors: (\d+)", said)
    states = re.search(r"(\d+) states, stored", said)
    if not errors or not states:
        raise ProofError(said.strip())
    complaint = re.search(r"^pan:1: (.*)$|^(.*max search depth too small.*)$", said, re.MULTILINE)
    promises = [line.removeprefix("BROKEN: ") for line in story if line.startswith("BROKEN: ")]
    broken = ""
    if complaint and "assertion violated" in complaint[0] and promises:
        broken = promises[0]
    elif complaint and "non-progress cycle" in complaint[0]:
        broken = "Asleep"
    elif complaint or int(errors[1]) or "Search not completed" in said:
        raise ProofError(complaint[0] if complaint else said.strip())
    memory = re.search(r"([\d.]+)\s+total actual memory usage", said)
    elapsed = re.search(r"elapsed time ([\d.e+-]+) seconds", said)
    return Outcome(
        broken,
        int(states[1]),
        float(elapsed[1]) if elapsed else 0.0,
        round(float(memory[1])) if memory else 0,
        _told(story),
        _never(said),
    )


def _told(story: list[str]) -> list[str]:
    """What the model's steps say of themselves, up to the broken promise."""
    told: list[str] = []
    for line in story:
        if line.startswith("spin:"):
            continue
        told.append(line.strip())
        if line.startswith("BROKEN: "):
            break
    return told


def _never(said: str) -> list[str]:
    """Statements that nothing has reached, but the ends of endless loops and the breaking of promises."""
    found = re.findall(rf'^\s*{re.escape(MODEL.name)}:(\d+), state \d+, "(.*)"$', said, re.MULTILINE)
    return [f"line {number}: {text}" for number, text in found if text != "-end-" and "broken" not in text]


def _report(name: str, verdict: str, outcome: Outcome) -> None:
    print(f"{name:52} {verdict:16} {outcome.states:>9} {outcome.seconds:>7.1f} {outcome.mib:>6}", flush=True)


def _check(check: Check) -> bool:
    outcome = hold(check)
    never = outcome.idle if check.whole else []
    _report(check.name, f"{outcome.broken} BROKEN" if outcome.broken else "holds", outcome)
    for line in [*outcome.story, *(f"can never happen: {line}" for line in never)]:
        print(f"    {line}")
    return not outcome.broken and not never


def _mutate(mutation: Mutation, *, story: bool) -> bool:
    outcome = mutate(mutation)
    found = outcome.broken == mutation.promise
    _report(mutation.name, f"{outcome.broken} broken" if found else f"NOT FOUND {outcome.broken}", outcome)
    if story or (outcome.broken and not found):
        for line in outcome.story:
            print(f"    {line}")
    return found


def main(arguments: list[str]) -> int:
    """Run the checks and mutations that were asked for; 1 where one is not as it should be."""
    parser = argparse.ArgumentParser(prog="./dev proof", add_help=False)
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--short", dest="checks", action="store_const", const=SHORT, default=USUAL)
    length.add_argument("--long", dest="checks", action="store_const", const=LONG)
    parser.add_argument("--story", action="store_true")
    parser.add_argument("mutations", nargs="*")
    asked = parser.parse_args(arguments)
    unknown = set(asked.mutations) - {mutation.name for mutation in MUTATIONS}
    if unknown:
        parser.error(f"no mutation {', '.join(sorted(unknown))}; there is {', '.join(m.name for m in MUTATIONS)}")
    checks = () if asked.mutations else asked.checks
    mutations = [m for m in MUTATIONS if not asked.mutations or m.name in asked.mutations]
    print(f"{'':52} {'':16} {'states':>9} {'seconds':>7} {'MiB':>6}")
    good = [_check(check) for check in checks]
    good += [_mutate(mutation, story=asked.story) for mutation in mutations]
    if not all(good):
        print("\nnot as it should be: see docs/proof/README.md", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except ProofError as error:
        sys.exit(f"./dev proof: Spin has no answer: {error}")
