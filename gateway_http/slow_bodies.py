"""The bodies for which threads wait right now, so that the most silent ones give theirs back."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from threading import Lock

SILENCE = 1.0
"""Seconds of silence from which on a body may be given up for other requests."""


class SlowBodies:
    """Who is waited for since when, the longest first; `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: dict[socket.socket, float] = {}
        self._cut: set[socket.socket] = set()
        self._ended = False
        self._lock = Lock()

    @contextmanager
    def waiting(self, connection: socket.socket) -> Iterator[None]:
        """Enter a wait for bytes of `connection`; raises TimeoutError if it was cut short."""
        with self._lock:
            if self._ended:
                raise TimeoutError("timed out")
            self._since[connection] = self._clock()
        try:
            yield
        finally:
            with self._lock:
                del self._since[connection]
                cut = connection in self._cut
                self._cut.discard(connection)
        if cut:
            raise TimeoutError("timed out")

    def give_up(self, count: int) -> None:
        """Cut the `count` longest waits short, as far as they have lasted SILENCE seconds."""
        with self._lock:
            latest = self._clock() - SILENCE
            waiting = ((one, since) for one, since in self._since.items() if one not in self._cut)
            for connection, since in list(islice(waiting, count)):
                if since <= latest:
                    self._give_up(connection)

    def end(self) -> None:
        """Cut every wait short, now and from now on."""
        with self._lock:
            self._ended = True
            for connection in self._since:
                self._give_up(connection)

    def _give_up(self, connection: socket.socket) -> None:
        self._cut.add(connection)
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RD)  # wakes who waits
