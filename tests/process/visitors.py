"""Many clients at once."""

from __future__ import annotations

import threading

from harness import Connection, eventually, said


class Visitors:
    """A stream of requests, one connection each, until the end of the block; what `read` makes of the answers.

    `pause` is how many seconds each of the `count` rests between two of his.
    """

    def __init__(self, address, source="say(os.getpid())", *, count=2, read=said, pause=0.0):
        self._pause = pause
        self._address = address
        self._source = source
        self._read = read
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._visit) for _ in range(count)]
        self.answers = []
        self.lost = []

    def _visit(self):
        while not self._over.is_set():
            try:
                with Connection(self._address).ask(self._source) as connection:
                    self.answers += self._read(connection.read())
            except (OSError, AssertionError) as error:
                self.lost.append(error)
            self._over.wait(self._pause)

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join()

    def until(self, count):
        """Wait until so many have been answered."""
        return eventually(lambda: len(self.answers) >= count or self.lost)
