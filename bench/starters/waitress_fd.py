"""waitress in one process on the listener that activated it: `python waitress_fd.py MODULE`."""

from __future__ import annotations

import socket
import sys

from waitress import serve

sys.path.insert(0, "")
serve(__import__(sys.argv[1]).app, sockets=[socket.socket(fileno=3)])
