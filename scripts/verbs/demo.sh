# watch a Flask app sleep, wake on a request, serve, and fall asleep again
#
# Usage: ./dev demo
#
# Starts examples/flask_app under `spyglass lookout` on a free port, with a short idle time so that there is something to
# see, and tells step by step what happens: asleep, first request, awake, asleep again, woken in the very moment of falling
# asleep. Takes under a minute, exits 0 only if every step happened, and leaves nothing behind.
set_up
exec .venv/bin/python scripts/demo.py "$@"
