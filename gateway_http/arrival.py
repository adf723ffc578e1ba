"""Whether an answer arrived, which a write that succeeded does not tell.

A write ends once the kernel has the bytes, megabytes before the client has them. A client that is
cut off meanwhile repeats its request, and the repeat must find the answer unclaimed. So this waits
for proof: the connection's next request, or an end by which the client took everything (RFC 9293,
3.10.4: a client that leaves bytes unread ends by a reset).
"""

from __future__ import annotations

import fcntl
import socket
import struct
import termios
import time
from collections.abc import Callable

CONFIRM = "gateway_http.confirm"
"""Where in the environ the app leaves what to call once its answer arrived; it must not raise."""
QUIET = 5.0
"""Seconds after which a client that acknowledged all and neither left nor complained has it."""
_ESTABLISHED, _CLOSE_WAIT = 1, 8  # Linux, include/net/tcp_states.h


class Arrival:
    """The last answer on a connection; `clock` gives seconds. One thread uses it at a time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._confirm: Callable[[], None] | None = None
        self._closes = False
        self._written = 0.0

    @property
    def awaits_end(self) -> bool:
        """Whether only the client's end of the connection can prove the last answer."""
        return self._confirm is not None and self._closes

    def written(self, confirm: Callable[[], None] | None, *, closes: bool) -> None:
        """Note an answer that was written; `closes`: the connection ends with it."""
        self._confirm, self._closes = confirm, closes
        self.sent()

    def sent(self) -> None:
        """Note that the answer's last byte has gone to the kernel only now."""
        self._written = self._clock()

    def proven(self) -> None:
        """Confirm the last answer: the client asks for more, or ended in order after its end."""
        confirm, self._confirm = self._confirm, None
        if confirm is not None:
            confirm()

    def ended(self, connection: socket.socket) -> None:
        """Confirm the last answer if `connection`, kept open and now to be closed, proves it."""
        if self._confirm is None or self._closes:
            return
        try:
            arrived = self._rests(connection)
        except OSError:
            arrived = False
        if arrived:
            self.proven()

    def _rests(self, connection: socket.socket) -> bool:
        """Tell whether all was acknowledged, and the client left in order or has long been quiet.

        The state is asked for because an error that a read has met is not told again.
        """
        if not hasattr(socket, "TCP_INFO"):
            return False
        state = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
        quiet = self._clock() - self._written >= QUIET
        left = state == _CLOSE_WAIT or (state == _ESTABLISHED and quiet)
        return left and _unacknowledged(connection) == 0


def _unacknowledged(connection: socket.socket) -> int:
    """Return how many written bytes the client's kernel has not acknowledged (SIOCOUTQ)."""
    count: int = struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4)))[0]
    return count
