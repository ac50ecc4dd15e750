"""Many clients of one service, none of them of good will, in one loop of one process. Knows no test."""

from __future__ import annotations

import errno
import resource
import select
import socket
import time

from harness import LIMIT

RESET = b"\1\0\0\0\0\0\0\0"  # struct linger: close with an RST
PATIENCE = 3 * LIMIT  # seconds for all of a crowd to be seen off


def descriptors(wanted):
    """Have room for so many, if the system lets us; how many there is room for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        soft = min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return min(wanted, soft)


class Crowd:
    """`count` connections. Of what the service says to each the beginning is kept; the `deaf` do not read."""

    def __init__(self, address, count, *, deaf=False):
        self._address = address
        self._deaf = deaf
        self._poll = select.epoll()
        self.heard = {}  # by descriptor: the first bytes
        self.open = {}
        self.refused = 0
        for _ in range(count):
            self.join()

    def join(self):
        """One more; it may be refused."""
        family = socket.AF_INET if isinstance(self._address, tuple) else socket.AF_UNIX
        sock = socket.socket(family)
        if self._deaf:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        error = sock.connect_ex(self._address)
        if error not in (0, errno.EINPROGRESS):
            sock.close()
            self.refused += 1
            return
        self.open[sock.fileno()] = sock
        self.heard[sock.fileno()] = b""
        self._poll.register(sock, select.EPOLLRDHUP | select.EPOLLHUP | (0 if self._deaf else select.EPOLLIN))

    def say(self, data):
        """All that are there say this, as far as it is taken; how many have said all of it."""
        said = 0
        for sock in list(self.open.values()):
            try:
                said += sock.send(data, socket.MSG_NOSIGNAL) == len(data)
            except BlockingIOError:
                pass
            except OSError:
                self._leave(sock)
        return said

    def say_all(self, data):
        """All say this, each at the speed at which it is taken, until each has said it or has left."""
        left = dict.fromkeys(self.open, data)
        deadline = time.monotonic() + PATIENCE
        while left and time.monotonic() < deadline:
            for fd in list(left):
                sock = self.open.get(fd)
                try:
                    sent = sock.send(left[fd], socket.MSG_NOSIGNAL) if sock is not None else len(left[fd])
                except BlockingIOError:
                    continue
                except OSError:
                    self._leave(sock)
                    sent = len(left[fd])
                left[fd] = left[fd][sent:]
                if not left[fd]:
                    del left[fd]
            self.hear(0.01)

    def hear(self, seconds=0.05):
        """What is said to them meanwhile; those who are told the end leave."""
        for fd, event in self._poll.poll(seconds, 10_000):
            sock = self.open[fd]
            if not event & select.EPOLLIN:
                self._leave(sock)
                continue
            try:
                data = sock.recv(65536)
            except BlockingIOError:
                continue
            except OSError:
                data = b""
            self.heard[fd] = (self.heard[fd] + data)[:200]
            if not data:
                self._leave(sock)

    def sip(self):
        """Each takes a little of what was said to him; False."""
        for sock in list(self.open.values()):
            try:
                sock.recv(100)
            except BlockingIOError:
                continue
            except OSError:
                self._leave(sock)
        return False

    def half_close(self):
        """Each says that it was all."""
        for sock in self.open.values():
            sock.shutdown(socket.SHUT_WR)

    def _leave(self, sock):
        del self.open[sock.fileno()]
        self._poll.unregister(sock)
        sock.close()

    def until_all_are_gone(self, say=b""):
        """Every one goes on saying this until the service has seen him off."""
        deadline = time.monotonic() + PATIENCE
        while self.open:
            if say:
                self.say(say)
            self.hear()
            assert time.monotonic() < deadline, f"{len(self.open)} are still there"

    def until(self, check):
        """They listen until this is so."""
        deadline = time.monotonic() + PATIENCE
        while not check():
            self.hear()
            assert time.monotonic() < deadline, f"it never came to that: {check}"

    def close(self, *, reset=False):
        """All leave, and say no word of it where it is a reset."""
        for sock in list(self.open.values()):
            if reset:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self._leave(sock)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
        self._poll.close()
