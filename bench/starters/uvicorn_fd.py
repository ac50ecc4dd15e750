"""uvicorn in one process, embedded, on the listener that activated it: `python uvicorn_fd.py MODULE:APP [SECONDS]`,
SECONDS for its graceful shutdown."""

from __future__ import annotations

import socket
import sys

import uvicorn

sys.path.insert(0, "")
grace = int(sys.argv[2]) if len(sys.argv) > 2 else None
config = uvicorn.Config(
    sys.argv[1], log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=grace
)
uvicorn.Server(config).run(sockets=[socket.socket(fileno=3)])
