"""The front door: which verb, and what a person sees of an error. Knows no option; `serve` passes through untouched."""

from __future__ import annotations

import sys

from spyglass_systemd.words.errors import SpyglassError, UsageError

BUG = 70  # EX_SOFTWARE of sysexits(3)
INTERRUPTED, NO_READER = 130, 141  # 128 + SIGINT, 128 + SIGPIPE, as shells have it


def main(argv: list[str] | None = None) -> int:
    """Run what `argv` says (sys.argv without it); the exit code."""
    try:
        return _run(sys.argv[1:] if argv is None else argv)
    except SpyglassError as error:
        trace = getattr(error, "trace", "")
        sys.stderr.write(f"{trace.rstrip()}\nspyglass: {error}\n" if trace else f"spyglass: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # `spyglass logs blog | head`: who reads has seen enough
        from spyglass_systemd.cli import streams  # noqa: PLC0415  # one verb is run, one is imported

        streams.silence()
        return NO_READER
    except Exception:  # noqa: BLE001  # a bug: its traceback and an exit code that says so
        sys.excepthook(*sys.exc_info())
        sys.stderr.write("spyglass: this is a bug of spyglass-systemd, please report it with the lines above\n")
        return BUG


def _run(words: list[str]) -> int:
    verb, rest = (words[0], words[1:]) if words else ("", [])
    if verb in {"serve", "lookout"}:
        options = rest[: rest.index("--")] if "--" in rest else rest
        if "--help" in options or "-h" in options:
            return _run(["help", verb])
        if verb == "serve":  # every wake passes here
            from spyglass_systemd.protocols import imports  # noqa: PLC0415  # one verb is run, one is imported

            imports.install()
            from spyglass_systemd.processes import serve  # noqa: PLC0415  # the first to gain by it

            return serve.run(rest)
        from spyglass_systemd.cli import lookout  # noqa: PLC0415

        return lookout.run(rest)
    if verb == "trial":  # of `check`: a fresh process, as the Template's is
        from spyglass_systemd.protocols import imports  # noqa: PLC0415

        imports.install()
        from spyglass_systemd.tools import trial  # noqa: PLC0415

        return trial.run(rest)
    from spyglass_systemd.cli.streams import mended  # noqa: PLC0415

    with mended():
        return _shown(verb, rest)


def _shown(verb: str, rest: list[str]) -> int:
    """Of a verb that tells a person something."""
    if verb in {"version", "--version", "-V"}:
        from spyglass_systemd import __version__  # noqa: PLC0415

        sys.stdout.write(f"spyglass-systemd {__version__}\n")
        return 0
    if verb in {"help", "--help", "-h"}:
        return _help(*rest[:1])
    if not verb:
        raise UsageError("there is no verb", hint="see spyglass --help")
    from spyglass_systemd.cli.verbs import VERBS  # noqa: PLC0415

    if verb not in VERBS:
        raise _unknown(verb)
    from spyglass_systemd.cli import command  # noqa: PLC0415

    return command.run(VERBS[verb].command(), rest)


def _help(verb: str = "") -> int:
    from spyglass_systemd.cli import help as pages  # noqa: PLC0415
    from spyglass_systemd.cli.verbs import VERBS  # noqa: PLC0415

    if verb and verb not in VERBS:
        raise _unknown(verb)
    sys.stdout.write(pages.page(verb) if verb else pages.overview())
    return 0


def _unknown(verb: str) -> UsageError:
    from spyglass_systemd.cli.verbs import VERBS  # noqa: PLC0415
    from spyglass_systemd.words.nearest import nearest  # noqa: PLC0415

    near = nearest(verb, VERBS)
    return UsageError(f"there is no verb {verb!r}", hint=f"did you mean {near}?" if near else "see spyglass --help")
