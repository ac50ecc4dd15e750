# two hours of random faults under load: nobody is lost unexplained, nothing grows
#
# Usage: ./dev soak [--minutes N | --short] [--seed N]
#
# Runs `spyglass lookout` with a WSGI app (Flask), an ASGI app and a raw one, each under steady load from clients that are
# quick, slow, kept alive, uploading, streaming, on WebSockets, or rude; and every few seconds something happens: deaths and
# stops of every process, reloads good and broken, an app broken and mended, visits in the very moment of falling asleep,
# no descriptors left. Each request is answered, or lost with the one worker that was killed under it, or unexplained, which
# fails. The Lookout and a Master that never sleeps may not grow; no zombie, nobody left behind. --short is ten minutes, for
# CI. The seed is printed; with the same one the same faults come in the same order. Logs are kept in .cache/bench/soak.
set_up
exec .venv/bin/python bench/soak.py "$@"
