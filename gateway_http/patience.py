"""How long one client may still keep us waiting: silence uses it up, bytes earn it back."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable

READ, WRITE = select.POLLIN, select.POLLOUT


class Patience:
    """`full` seconds of waiting, less what was waited, more a second for each `rate` bytes.

    It never grows beyond `full`, so neither a long silence nor a drip after a fast start passes.
    """

    def __init__(
        self, full: float, rate: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._full = full
        self._rate = rate
        self._clock = clock
        self.left = full

    def waited(self, seconds: float) -> None:
        """Take off what was waited."""
        self.left -= seconds

    def moved(self, size: int) -> None:
        """Add what `size` bytes, sent or received, have earned."""
        self.left = min(self._full, self.left + size / self._rate)

    def wait(self, connection: socket.socket, event: int) -> None:
        """Wait until `connection` is ready for READ or WRITE; raises TimeoutError."""
        poll, began = select.poll(), self._clock()
        poll.register(connection, event)
        ready = self.left > 0 and poll.poll(self.left * 1_000)
        self.waited(self._clock() - began)
        if not ready:
            raise TimeoutError("timed out")  # the words by which cheroot knows it
