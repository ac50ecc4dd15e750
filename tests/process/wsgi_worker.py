"""A worker of the WSGI backend in a process of its own, with the test as its Master and its clients. Knows no test."""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
import sys
import tempfile
import time
import traceback

from spyglass_systemd.backends.base import Gate
from spyglass_systemd.backends.wsgi.loop import serve
from spyglass_systemd.protocols import control
from spyglass_systemd.protocols.scoreboard import Scoreboard
from spyglass_systemd.words.listener import Lead, Listener
from spyglass_systemd.words.options import Settings
from spyglass_systemd.words.reports import Accepting, Quiesce, Quiesced, Resume, Stop

LIMIT = 20.0  # seconds for anything to happen
RESET = b"\1\0\0\0\0\0\0\0"  # struct linger: close with an RST


_HOSTS = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}


class Worker:
    """Serves `app`; `prepare` runs in its process first. Its stderr is `said`, its stdout `logged`."""

    def __init__(self, app, *, family=socket.AF_INET, backlog=1024, prepare=None, quota=0, listener=None, **settings):
        self._files = contextlib.ExitStack()
        self.directory = self._files.enter_context(tempfile.TemporaryDirectory())
        if listener is None:
            self.socket = self._files.enter_context(socket.socket(family))
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.socket.bind(f"{self.directory}/sock" if family == socket.AF_UNIX else (_HOSTS[family], 0))
            self.socket.listen(backlog)
        else:
            self.socket = listener
        self.address = self.socket.getsockname()
        self.board = Scoreboard.create("", 1, os.getpid())
        self.row = self.board.rows[0]
        self.channel, theirs = control.pair()
        self._err = self._files.enter_context(tempfile.TemporaryFile("w+"))  # noqa: SIM115  # it is entered
        self._out = self._files.enter_context(tempfile.TemporaryFile("w+"))  # noqa: SIM115
        self.reports = []
        self.status = None
        self._quiesces = 0
        gc.collect()
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if not self.pid:
            self._serve(app, theirs, prepare, quota, settings)
        theirs.close()
        self.hear(Accepting)

    def _serve(self, app, channel, prepare, quota, settings):
        status = 70
        try:
            signal.setitimer(signal.ITIMER_REAL, 0)  # the time limit of the test is not ours
            self.channel.close()
            os.dup2(self._err.fileno(), 2)
            os.dup2(self._out.fileno(), 1)
            # They live as long as the process.
            sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w", 1)
            gc.freeze()
            settings = Settings(app="x:y", **settings)
            if prepare:
                prepare()
            fd = os.dup(self.socket.fileno())
            family = self.socket.family
            self.socket.close()
            listener = Listener(fd, "http", family, self.address)
            self.row.claim(os.getpid(), 1, 1)
            lead = Lead(listener, "x:y", "wsgi", settings.root_path)
            lead.app = app
            gate = Gate(channel, self.row, (listener,), born_ns=time.monotonic_ns(), quota=quota)
            serve((lead,), gate, settings)
            status = 0
        except BaseException:  # noqa: BLE001
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            sys.stdout.flush()
            os._exit(status)

    # ### The Master's side

    def hear(self, kind):
        """The next report of this kind."""
        deadline = time.monotonic() + LIMIT
        while True:
            for i, report in enumerate(self.reports):
                if isinstance(report, kind):
                    return self.reports.pop(i)
            left = deadline - time.monotonic()
            assert left > 0, f"no {kind.__name__}; {self.said}"
            assert select.select([self.channel], [], [], left)[0], f"no {kind.__name__}; {self.said}"
            self.reports += [report for report, _ in self.channel.receive()]
            assert self.reports or not self.channel.closed, f"it died: {self.said}"

    def quiesce(self, final):
        self._quiesces += 1
        self.channel.send(Quiesce(self._quiesces, final))
        return self._quiesces

    def resume(self):
        self.channel.send(Resume(self._quiesces))

    def end(self, final=1):
        """Quiesce, wait until it is quiet, stop: its books, which must be balanced, as it reports them."""
        number = self.quiesce(final)
        while (report := self.hear(Quiesced)).number != number:
            pass
        self.stop()
        assert (report.accepted, report.answered) == (self.row.accepted, self.row.done)
        assert self.status == 0, self.said
        self.is_balanced()
        return report

    def is_balanced(self):
        assert self.row.open == 0, self.row
        assert self.row.in_flight == 0, self.row
        assert self.row.requests == self.row.done, self.row
        assert self.row.busy_since_ns == 0

    def stop(self):
        self.channel.send(Stop())
        self.wait()

    def wait(self):
        """Until it has exited."""
        if self.status is None:
            pidfd = os.pidfd_open(self.pid)
            ready = select.select([pidfd], [], [], LIMIT)[0]
            os.close(pidfd)
            assert ready, f"it does not end: {self.said}"
            self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def close(self):
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        sys.stdout.write(self.said)  # shown where the test has failed
        self.channel.close()
        self._files.close()

    @property
    def said(self):
        return os.pread(self._err.fileno(), 1 << 20, 0).decode()

    @property
    def logged(self):
        return os.pread(self._out.fileno(), 1 << 20, 0).decode()

    def memory(self, what="VmHWM"):
        """KiB of its memory: VmHWM is the most it ever had, VmRSS what it has."""
        with open(f"/proc/{self.pid}/status") as file:  # noqa: PTH123
            return next(int(line.split()[1]) for line in file if line.startswith(what))

    def forget_memory(self):
        """VmHWM starts again: proc(5), clear_refs."""
        with open(f"/proc/{self.pid}/clear_refs", "w") as file:  # noqa: PTH123
            file.write("5")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))  # noqa: PTH208

    # ### The clients' side

    def connect(self, **options):
        return Client(self.address, self.socket.family, **options)

    def ask(self, request=b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"):
        """One request on a connection of its own."""
        with self.connect() as client:
            client.send(request)
            return client.response(request[: request.index(b" ")].decode())

    def eventually(self, check):
        """Ask the row or the system again and again, for what sends no event."""
        deadline = time.monotonic() + LIMIT
        while not (found := check()):
            assert time.monotonic() < deadline, f"never came true; {self.row} {self.said}"
            time.sleep(0.005)
        return found


@contextlib.contextmanager
def serving(app, **options):
    """A worker; at the end it is quiesced, and its books must be balanced."""
    worker = Worker(app, **options)
    try:
        yield worker
        if worker.status is None:
            worker.end()
    finally:
        worker.close()


class Response:
    def __init__(self, head, body):
        line, *lines = head.decode("latin-1").split("\r\n")
        self.version, self.code, self.reason = line.split(" ", 2)
        self.code = int(self.code)
        self.headers = [tuple(line.split(": ", 1)) for line in lines]
        self.body = body

    def header(self, name):
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


class Client:
    """A connection that reads one response after another, and is strict about it."""

    def __init__(self, address, family, *, small=False):
        self.socket = socket.socket(family)
        if small:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(LIMIT)
        self.socket.connect(address)
        self._rest = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def get(self, target="/", *, close=False):
        self.send(f"GET {target} HTTP/1.1\r\nHost: a\r\n{'Connection: close' if close else 'A: b'}\r\n\r\n".encode())

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.socket.close()

    def until(self, end):
        """What comes before `end`."""
        while end not in self._rest:
            data = self.socket.recv(65536)
            assert data, f"the end, after {self._rest[:200]!r}"
            self._rest += data
        before, _, self._rest = self._rest.partition(end)
        return before

    def exactly(self, count):
        parts, have = [self._rest], len(self._rest)
        while have < count:
            data = self.socket.recv(1 << 20)
            assert data, f"the end, after {have} of {count} bytes"
            parts.append(data)
            have += len(data)
        data = b"".join(parts)
        self._rest = data[count:]
        return data[:count]

    def to_the_end(self):
        """All that comes until the server says that no more will."""
        data = self._rest
        while piece := self.socket.recv(65536):
            data += piece
        self._rest = b""
        return data

    def is_at_its_end(self):
        return self.to_the_end() == b""

    def chunk(self):
        size = int(self.until(b"\r\n"), 16)
        data = self.exactly(size)
        assert self.until(b"\r\n") == b""
        return data

    def head(self):
        return Response(self.until(b"\r\n\r\n"), b"")

    def response(self, method="GET"):
        response = self.head()
        if response.code == 100:
            response = self.head()
        if method == "HEAD" or response.code in (204, 304):
            return response
        length = response.header("Content-Length")
        if response.header("Transfer-Encoding") == "chunked":
            assert length is None
            while chunk := self.chunk():
                response.body += chunk
        elif length is not None:
            response.body = self.exactly(int(length))
        else:
            assert response.header("Connection") == "close"
            response.body = self.to_the_end()
        return response
