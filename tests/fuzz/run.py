"""Runs targets under atheris, which is libFuzzer for Python: two at a time, each in a process of its own.

A target is a module `fuzz_NAME.py` with `check(data)`, which raises what should not be, `MAX` bytes of one input, and
`seeds()`. It begins with its seeds and with what is kept in corpus/; with --keep, what reaches more than that is added.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import importlib
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import corpora

AT_ONCE = 2  # targets
SAME = 1  # the seed of --short: a change must be judged as the one before it; who wants to explore takes ./dev fuzz
SLOW = 10  # seconds for one input, then it hangs
MEMORY = 1024  # MiB
DONE = re.compile(r"Done (\d+) runs in (\d+) second")
REACHED = re.compile(r"cov: (\d+) ft: (\d+) corp: (\d+)/")


def main():
    """The parent; the exit status is 1 where something was found."""
    parser = argparse.ArgumentParser(prog="./dev fuzz", description="fuzz targets of tests/fuzz")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(corpora.TARGETS)}; else all")
    how_long = parser.add_mutually_exclusive_group()
    how_long.add_argument("--minutes", type=float, default=10.0, help="for each target; 10")
    how_long.add_argument("--short", action="store_true", help="a minute for each target, always along the same way")
    parser.add_argument("--keep", action="store_true", help="add to the corpus what reaches more of the code")
    options = parser.parse_args()
    if unknown := set(options.targets) - set(corpora.TARGETS):
        parser.error(f"no target {', '.join(unknown)}: there are {', '.join(corpora.TARGETS)}")
    length = (60, SAME) if options.short else (round(options.minutes * 60), 0)
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        runs = [pool.submit(run, target, *length, keep=options.keep) for target in options.targets or corpora.TARGETS]
        found = [run.result() for run in concurrent.futures.as_completed(runs)]
    return 1 if any(found) else 0


def run(target, seconds, seed, *, keep):
    """Fuzz one target; says how that went, and returns whether it found something. Seed 0 is another one each time."""
    with tempfile.TemporaryDirectory(prefix=f"fuzz-{target}-") as name:
        here = Path(name)
        for part in ("begin", "new"):
            (here / part).mkdir()
        for number, data in enumerate(begin(target)):
            (here / "begin" / f"{number:05}").write_bytes(data)
        log, status = inside(target, here, f"-max_total_time={seconds}", f"-seed={seed}", "new", "begin")
        if finds := sorted(here.glob("find-*")):
            for find in finds:
                sys.stdout.write(f"\n{target}: FOUND by\n    {find.read_bytes()!r}\n{why(log)}\n")
            sys.stdout.flush()
            return True
        if status or not DONE.search(log):
            sys.stdout.write(f"\n{target}: the fuzzer failed\n{log[-3000:]}\n")
            return True
        runs, took = DONE.findall(log)[-1]
        edges, features, inputs = REACHED.findall(log)[-1]
        kept = ""
        if keep:
            found = [path.read_bytes() for path in here.glob("*/*")]
            corpora.save(target, corpora.least(importlib.import_module(f"fuzz_{target}").check, found))
            kept = f", {len(corpora.load(target))} kept"
        sys.stdout.write(
            f"{target:11} {int(runs):>9} runs in {took:>4} s, {edges:>4} edges, {features:>5} features, "
            f"{inputs} inputs{kept}\n"
        )
        sys.stdout.flush()
        return False


def begin(target):
    """What fuzzing begins with: the seeds of the target and what is kept."""
    sys.path.append(str(corpora.HERE.parent / "unit"))  # for seeds that come from tables
    return [*importlib.import_module(f"fuzz_{target}").seeds(), *corpora.load(target)]


def inside(target, here, *arguments):
    """The output and exit status of this program as the child that fuzzes."""
    limits = [f"-timeout={SLOW}", f"-rss_limit_mb={MEMORY}", f"-artifact_prefix={here}/find-", "-print_final_stats=1"]
    folders = [str(here / each) if not each.startswith("-") else each for each in arguments]
    done = subprocess.run(
        [sys.executable, __file__, target, *limits, *folders],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
        env=os.environ | {"FUZZ_TARGET": target, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0"},
    )
    return done.stdout, done.returncode


def why(log):
    """The traceback in the output, or its end."""
    at = log.find(" === Uncaught Python exception: ===")
    return log[max(at, 0) :][:4000] if at >= 0 else log[-4000:]


def fuzz(target):
    """The child: never returns."""
    import atheris

    with atheris.instrument_imports(include=["spyglass_systemd", "tomllib"], enable_loader_override=False):
        module = importlib.import_module(f"fuzz_{target}")
    atheris.Setup([sys.argv[0], f"-max_len={module.MAX}", *sys.argv[2:]], module.check)
    atheris.Fuzz()


if __name__ == "__main__":
    if name := os.environ.get("FUZZ_TARGET"):
        fuzz(name)
    sys.exit(main())
