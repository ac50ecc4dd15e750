"""A Master with real listeners, started as a service manager starts it, and its clients. Knows no test.

Whatever it says is read all the time, on stderr and on the notify socket, so tests wait for what they want to see. The
app is `tests/apps/knife.py`, which does what a client posts, unless a test brings its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import spyglass_systemd
from spyglass_systemd.protocols import row as row_cells
from spyglass_systemd.protocols import scoreboard

LIMIT = 20.0  # seconds for anything to happen
APPS = Path(__file__).parents[1] / "apps"
PROGRAM = Path(spyglass_systemd.__file__).parent / "__main__.py"
_MANAGERS = ("LISTEN_", "NOTIFY_", "WATCHDOG_", "SYSTEMD_", "JOURNAL_", "RUNTIME_")

# Moves the descriptors to 3 and up and becomes the program, which keeps its pid: systemd.exec(5).
LAUNCHER = """
import json, os, sys
fds, command = json.loads(sys.argv[1])
above = 3 + len(fds) + max([3, *fds])
for i, fd in enumerate(fds):
    os.dup2(fd, above + i)
for i in range(len(fds)):
    os.dup2(above + i, 3 + i)
os.closerange(3 + len(fds), 1024)
if fds:
    os.environ |= {"LISTEN_FDS": str(len(fds)), "LISTEN_PID": str(os.getpid())}
os.execv(command[0], command)
"""

AROUND = """
import sys
{before}
from spyglass_systemd.cli.main import main
status = main()
{after}
sys.exit(status)
"""

IMPATIENT = AROUND.format(
    before="from spyglass_systemd.policy import respawn; respawn.delay.__defaults__ = 0.05, 30.0", after=""
)  # a twentieth of the pause after a failure

# Starts the rest of its arguments as a Lookout does: as its parent, who also inherits the orphans, and waits for it.
LOOKOUT = """
import ctypes, os, sys
assert not ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
command = [word.replace("LOOKOUT_PID", str(os.getpid())) for word in sys.argv[1:]]
pid = os.fork()
if not pid:
    os.execv(command[0], command)
os.closerange(3, 1024)
ended, status = os.wait()
while ended != pid:
    ended, status = os.wait()
sys.exit(os.waitstatus_to_exitcode(status))
"""


def eventually(check, what=""):
    """Ask again and again until `check()` is true, for what sends no event; its value."""
    deadline = time.monotonic() + LIMIT
    while not (found := check()):
        assert time.monotonic() < deadline, f"never came true: {what or check}"
        time.sleep(0.01)
    return found


def slow_to_come(gate):
    """For `around`: the Master comes when the FIFO `gate` is opened for writing; its first Template is at work."""
    return AROUND.format(
        before=f"""
from spyglass_systemd.processes import serve
first = serve._first
def then_wait(*args):
    found = first(*args)
    open({str(gate)!r}).close()
    return found
serve._first = then_wait
""",
        after="",
    )


def take_time(seconds):
    """What a slow client does. Nothing is waited for here: that it does nothing is what is tested."""
    time.sleep(seconds)


def wait_at(gate):
    """Source for the knife app that waits until somebody opens the FIFO `gate` for writing."""
    return f"open({str(gate)!r}).close(); say('answered')"


class Stream:
    """What a process says, piece by piece. `until` waits for a piece; each is found once, in the order of time."""

    def __init__(self):
        self.all = []
        self.ended = False
        self._next = 0
        self._changed = threading.Condition()

    def append(self, piece):
        with self._changed:
            self.all.append(piece)
            self._changed.notify_all()

    def end(self):
        with self._changed:
            self.ended = True
            self._changed.notify_all()

    def until(self, text):
        """The next piece that has `text` in it; what came before it is passed over."""
        deadline = time.monotonic() + LIMIT
        at = self._next
        with self._changed:
            while True:
                while at < len(self.all):
                    at += 1
                    if text in self.all[at - 1]:
                        self._next = at
                        return self.all[at - 1]
                assert not self.ended, f"{text!r} was never said: {self}"
                assert self._changed.wait(deadline - time.monotonic()), f"{text!r} was not said: {self}"

    def count(self, text):
        """How many pieces until now have `text` in them."""
        return sum(text in piece for piece in self.all)

    def __contains__(self, text):
        return self.count(text) > 0

    def __str__(self):
        return "\n".join(["", *self.all])


class Process:
    """A process that we may not wait for. `gone` says whether it has ended, a zombie included."""

    def __init__(self, pid):
        self.pid, self._fd = pid, -1
        self._fd = os.pidfd_open(pid)

    def kill(self, number=signal.SIGKILL):
        """Send a signal; after SIGKILL it is gone."""
        signal.pidfd_send_signal(self._fd, number)
        assert number != signal.SIGKILL or self.wait()

    @property
    def gone(self):
        return self.wait(0)

    def wait(self, limit=LIMIT):
        """Whether it ends in time."""
        return bool(select.select([self._fd], [], [], limit)[0])

    def __del__(self):
        if self._fd >= 0:
            os.close(self._fd)

    def __repr__(self):
        return f"<Process {self.pid} {'gone' if self.gone else 'there'}>"


class Answer:
    """What came back on a connection."""

    def __init__(self, data):
        head, _, self.body = data.partition(b"\r\n\r\n")
        first, *fields = head.decode("latin-1").split("\r\n")
        self.status = int(first.split()[1]) if first.startswith("HTTP/") else 0
        self.fields = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}

    def __repr__(self):
        return f"<Answer {self.status} {self.fields} {self.body[:200]!r}>"


class Connection:
    """A client's end."""

    def __init__(self, address):
        self.sock = socket.socket(_family(address))
        self.sock.settimeout(LIMIT)
        self.sock.connect(address)

    def send(self, data):
        self.sock.sendall(data)
        return self

    def ask(self, source="", *, close=True):
        """Send a request that has the app run `source`."""
        end = "close" if close else "keep-alive"
        head = f"POST / HTTP/1.1\r\nHost: test\r\nConnection: {end}\r\nContent-Length: {len(source.encode())}\r\n\r\n"
        return self.send(head.encode() + source.encode())

    def read(self):
        """The answer, up to the end of the connection or of its Content-Length."""
        data = b""
        while part := self.sock.recv(65536):
            data += part
            head, gap, body = data.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)^content-length: *(\d+)", head, re.MULTILINE)
            if gap and length and len(body) >= int(length[1]) and b"close" not in head.lower():
                break
        return Answer(data)

    def close(self):
        self.sock.close()

    __del__ = close

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Service:
    """One Master after another on the listeners given; of the present one its process, its log, its notifications.

    `around` is Python that is run in place of the program: to look at the Master from inside, to shorten its patience.
    `prefix` is a command that runs ours; with `journal`, stderr is what systemd says is the journal's stream.
    With `lookout`, `process` is not the Master but a stand-in for `spyglass lookout`, its parent.
    """

    def __init__(
        self,
        directory,
        listeners,
        arguments,
        *,
        names="",
        watchdog="",
        around="",
        prefix=(),
        journal=False,
        lookout=False,
    ):
        self.directory = directory
        self.run = directory / "run"
        self.run.mkdir(exist_ok=True)
        self.addresses = [listener.getsockname() for listener in listeners]
        self._listeners = listeners
        self._arguments = arguments
        self._names = names
        self._watchdog = watchdog
        self._prefix = prefix
        self._journal = journal
        if lookout:
            self._prefix = [sys.executable, "-I", "-S", "-c", LOOKOUT]
            self._arguments = ["--lookout-pid", "LOOKOUT_PID", *arguments]
        self._lookout = lookout
        self._program = ["-c", around] if around else [str(PROGRAM)]
        self.process = None

    @property
    def pid(self):
        return self.process.pid if not self._lookout else self._master

    @property
    def sockets(self):
        """The listeners, as /proc names them."""
        return [f"socket:[{os.fstat(listener.fileno()).st_ino}]" for listener in self._listeners]

    def start(self, *, waiting=None):
        """Start a Master, with a connection waiting for it; that connection, its request for `waiting` sent."""
        connection = None if waiting is None else self.connect().ask(waiting)
        mailbox = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        mailbox.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        mailbox.bind("")
        environ = {key: value for key, value in os.environ.items() if not key.startswith(_MANAGERS)}
        environ |= {
            "NOTIFY_SOCKET": "@" + mailbox.getsockname()[1:].decode(),
            "RUNTIME_DIRECTORY": str(self.run),
            "PYTHONDONTWRITEBYTECODE": "1",  # a changed file of the same size and second would not be seen
        }
        environ |= {"LISTEN_FDNAMES": self._names} if self._names else {}
        environ |= {"WATCHDOG_USEC": self._watchdog} if self._watchdog else {}
        stderr, theirs = os.pipe()
        if self._journal:
            environ["JOURNAL_STREAM"] = f"{os.fstat(theirs).st_dev}:{os.fstat(theirs).st_ino}"
        fds = [listener.fileno() for listener in self._listeners]
        self.log, self.letters, self.senders = Stream(), Stream(), []
        command = [sys.executable, "-P", *self._program, "serve", *self._arguments]
        self.process = subprocess.Popen(
            [*self._prefix, sys.executable, "-I", "-S", "-c", LAUNCHER, json.dumps([fds, command])],
            env=environ,
            stdin=subprocess.DEVNULL,
            stderr=theirs,
            pass_fds=fds,
            cwd=self.directory,
            start_new_session=True,
        )
        os.close(theirs)
        self._reader = threading.Thread(target=self._read, args=(os.fdopen(stderr, "rb"), mailbox), daemon=True)
        self._reader.start()
        if self._lookout:
            self._master = eventually(lambda: children(self.process.pid))[0]
        return connection

    def _read(self, stderr, mailbox):
        rest = b""
        with stderr, mailbox:
            while True:
                ready = select.select([stderr, mailbox], [], [])[0]
                if mailbox in ready:
                    letter, ancillary, _, _ = mailbox.recvmsg(8192, socket.CMSG_SPACE(12))
                    self.senders += [struct.unpack("3i", data)[0] for _, _, data in ancillary]
                    self.letters.append(letter.decode())
                    continue
                data = os.read(stderr.fileno(), 65536)
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    self.log.append(line.decode(errors="replace"))
                if not data:
                    break
        self.log.end()
        self.letters.end()

    # ### Clients

    def connect(self, index=0):
        return Connection(self.addresses[index])

    def request(self, source="", index=0):
        """The answer to one request on a fresh connection."""
        with self.connect(index).ask(source) as connection:
            return connection.read()

    def ask(self, source, index=0):
        """Have the app run `source`; what it says."""
        return said(self.request(source, index))

    # ### Processes

    def signal(self, number):
        os.kill(self.pid, number)

    def let_go(self):
        """Close the listeners here: from now on they are held by the processes below only."""
        for listener in self._listeners:
            listener.close()

    def wait(self):
        """The exit status of the Master. When it has ended, nobody may be left."""
        status = self.process.wait(LIMIT)
        self._reader.join(LIMIT)
        assert not self._reader.is_alive(), f"somebody still has the Master's stderr: {self.members()}"
        return status

    def stop(self):
        """SIGTERM, the exit status."""
        self.signal(signal.SIGTERM)
        return self.wait()

    @property
    def template(self):
        """The one Template."""
        (pid,) = children(self.pid)
        return Process(pid)

    @property
    def templates(self):
        return _processes(children(self.pid))

    @property
    def workers(self):
        return _processes(pid for template in children(self.pid) for pid in children(template))

    def all_accept(self, count=2):
        """Wait until `count` workers accept and none is in any other state; their rows of the scoreboard."""

        def check():
            rows = self.rows()
            return rows if [row["state"] for row in rows] == [row_cells.ACCEPTING] * count else None

        return eventually(check, f"{count} workers that accept")

    def all_ready(self, count):
        """Wait until `count` workers accept and serve nobody, and a Master that logs its steps has read so."""
        for _ in range(count):
            self.log.until("event=READY")
        self.all_accept(count)
        self.has_open(0)

    def in_flight(self, count=1):
        """Wait until the app has so many requests."""
        eventually(lambda: sum(row["in_flight"] for row in self.rows()) == count, f"{count} in flight")

    def has_open(self, count):
        """Wait until the workers have accepted so many connections."""
        eventually(lambda: sum(row["open"] for row in self.rows()) == count, f"{count} open")

    def nobody_accepts(self):
        """Wait until every worker has stopped accepting."""
        eventually(lambda: not any(row["state"] == row_cells.ACCEPTING for row in self.rows()), "nobody accepts")

    def members(self):
        """The pids of every process of the Master's session that is still running."""
        return session(self.process.pid)

    def stragglers(self):
        """Who is still there of a session whose leader has ended, and does not leave either."""
        try:
            eventually(lambda: not self.members())
        except AssertionError:
            return self.members()
        return []

    def kill_all(self):
        for pid in self.members():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(LIMIT)

    # ### The scoreboard

    def board(self):
        """The header and the rows that are taken, as any tool reads them."""
        data = (self.run / "scoreboard").read_bytes()
        cells = struct.unpack("q" * (len(data) // 8), data)
        header, cells = cells[: scoreboard.HEADER_CELLS], cells[scoreboard.HEADER_CELLS :]
        rows = [cells[i : i + row_cells.ROW_CELLS] for i in range(0, len(cells), row_cells.ROW_CELLS)]
        return header, [row for row in rows if any(row)]

    def rows(self):
        if not (self.run / "scoreboard").exists():
            return []
        names = ("PID", "STATE", "GENERATION", "WORKER", "ACCEPTED", "OPEN", "REQUESTS", "IN_FLIGHT", "ANSWERED")
        return [{name.lower(): row[getattr(row_cells, name)] for name in names} for row in self.board()[1]]


def _processes(pids):
    found = []
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):  # it has been waited for meanwhile
            found.append(Process(pid))
    return found


def _family(address):
    if isinstance(address, str | bytes):
        return socket.AF_UNIX
    return socket.AF_INET6 if len(address) > 2 else socket.AF_INET


def session(leader):
    """The pids of every process of a session that is still running."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                state, _, _, number = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
                if int(number) == leader and state not in "ZX":
                    found.append(int(entry.name))
    return found


def children(pid):
    """The pids of a process's children, whichever of its threads has forked them."""
    found = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += [int(child) for child in (task / "children").read_text().split()]
    return found


def descriptors(pid):
    """What a process has open: the number and what /proc says it is."""
    found = {}
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found[int(link.name)] = str(link.readlink())
    return found


def said(answer):
    """What the knife app said in an answer."""
    assert answer.status == 200, answer
    return [json.loads(line) for line in answer.body.splitlines()]


def make_listener(kind, directory):
    """A listening socket: v4, v6, path or abstract."""
    family, address = {
        "v4": (socket.AF_INET, ("127.0.0.1", 0)),
        "v6": (socket.AF_INET6, ("::1", 0)),
        "path": (socket.AF_UNIX, str(directory / "s")),
        "abstract": (socket.AF_UNIX, ""),  # autobind, unix(7)
    }[kind]
    sock = socket.socket(family)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as systemd does
    sock.bind(address)
    sock.listen(1024)
    return sock
