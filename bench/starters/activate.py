"""Pass a listener on as systemd does: `python -I -S activate.py FD COMMAND...`, for listeners with options that
systemd-socket-activate cannot set (NoDelay=)."""

import os
import sys

fd = int(sys.argv[1])
if fd == 3:
    os.set_inheritable(fd, True)
else:
    os.dup2(fd, 3)
    os.close(fd)
os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
os.execvp(sys.argv[2], sys.argv[2:])
