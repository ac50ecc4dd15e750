# feed the parsers with whatever a fuzzer thinks of (atheris)
#
# Usage: ./dev fuzz [TARGET ...] [--minutes N | --short] [--keep]
#
# Ten minutes for each target, two at a time; --short, which CI runs, one minute each, and that with the same seed each time:
# what CI says of a change should be of the change. A find is shown as the bytes that
# did it and the traceback: it becomes a test, then a cure, and a line of tests/fuzz/corpus. --keep adds to the corpus what
# reaches more of the code; the corpus is run by ./dev test as well. The targets are the files tests/fuzz/fuzz_*.py;
# what has been found, and how long was looked: docs/reference/fuzzing.md.
set_up
.venv/bin/python -c 'import atheris' 2>/dev/null ||
    .venv/bin/python -m pip --quiet --disable-pip-version-check --no-input install -e '.[fuzz]' </dev/null >&2
exec .venv/bin/python tests/fuzz/run.py "$@"
