"""What the soak serves raw: each line comes back, with the version that is loaded before it."""

from __future__ import annotations

import subprocess


def make(version):
    """A handler of connections."""

    def handler(connection, _address):
        with connection.makefile("rwb") as file:
            for line in file:
                words = line.split()
                if words[:1] == [b"start"]:
                    subprocess.Popen(["/bin/sh", "-c", "sleep 0.7; echo done >$0", words[1]])
                file.write(b"%d " % version + line)
                file.flush()

    return handler
