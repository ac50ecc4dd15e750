"""`python -m spyglass_systemd`: the same program as `spyglass`."""

from __future__ import annotations

import sys

from spyglass_systemd.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
