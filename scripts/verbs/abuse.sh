# clients of ill will, many at once: others are served, memory is bounded, nobody keeps an app awake by being slow
#
# Usage: ./dev abuse [PYTEST ARGUMENTS]
#
# Slow heads, bodies and readers; halves of much; requests sent ahead by the thousand; ten thousand connections; a flood at a
# wake; requests cut at every byte; resets at every stage: against a WSGI and an ASGI app under a real Master. A worker may
# have 1.5 times the memory that it had when warm. Takes four minutes, so ./dev test leaves it out. With arguments: pytest
# with these, e.g.
#   ./dev abuse -k "asgi and reset"
set_up
run_tests .venv/bin/python -m pytest tests/process/test_abuse.py "$@"
