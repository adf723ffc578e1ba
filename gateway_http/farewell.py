"""Connections that end: what is left is sent, and closed so that the client can read it.

Closing while a client still sends resets the connection and loses the answer, so what still
arrives is swallowed for a while (RFC 9112, 9.6); and where only the client's own end proves that an
answer arrived, it is awaited.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from gateway_http.bounds import Bounds
from gateway_http.poller import READ, WRITE, Poller

SWALLOW_SECONDS = 5.0
SWALLOW_BYTES = 100_000_000
PROOF_SECONDS = 2.0
"""Seconds that a client has to end a connection that ends with the answer."""
_SLICE = 262_144


class Farewell:
    """Knows all `open` connections and ends them; on the poller's thread."""

    def __init__(self, poller: Poller, bounds: Bounds) -> None:
        self.open: set[Any] = set()
        self.poller = poller
        self._bounds = bounds
        self._leaving: dict[Any, None] = {}  # who is on the way out, the longest first
        self._grace: float | None = None
        self._scratch = bytearray(_SLICE)

    def begin(self, connection: Any) -> None:
        """End a connection whose last answer was written."""
        if connection.wfile.pending:
            self.flush(connection, self.begin)
            return
        if not (connection.unread or connection.arrival.awaits_end):
            self.close(connection)
            return
        seconds = SWALLOW_SECONDS if connection.unread else PROOF_SECONDS
        if self._grace is not None:
            seconds = min(seconds, self._grace)
        try:
            connection.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.close(connection)
            return
        connection.swallowed = 0
        self._leaving[connection] = None
        key, until = connection.socket, self.poller.now() + seconds
        self.poller.watch(key, READ, partial(self._swallow, connection))
        self.poller.alarm(key, until, partial(self.close, connection))

    def flush(self, connection: Any, then: Callable[[Any], None]) -> None:
        """Send what is left of the answer as the client takes it, then go on with `then`."""
        key, patience, began = connection.socket, connection.wfile.patience, self.poller.now()

        def go_on() -> None:
            patience.waited(self.poller.now() - began)
            try:
                done = connection.wfile.flush()
            except OSError:
                self.close(connection)
                return
            if done:
                self.poller.forget(key)
                connection.arrival.sent()  # the client has had no time with it before
                then(connection)
            else:
                self.flush(connection, then)

        self.poller.watch(key, WRITE, go_on)
        self.poller.alarm(key, began + patience.left, partial(self.close, connection))

    def close(self, connection: Any) -> None:
        """End it now."""
        self.poller.forget(connection.socket)
        self._leaving.pop(connection, None)
        if not connection.wfile.pending:
            connection.arrival.ended(connection.socket)
        self.open.discard(connection)
        with suppress(OSError):
            connection.destroy()
        self._end_if_last()

    def hurry_one(self) -> bool:
        """End with who has been leaving longest, and tell whether there is anyone."""
        longest = next(iter(self._leaving), None)
        if longest is not None:
            self.close(longest)
        return longest is not None

    def finish(self, grace: float) -> None:
        """End the poller with the last connection; who is only waited for has `grace` seconds."""
        self._grace = grace
        for connection in self._leaving:
            until = self.poller.now() + grace
            self.poller.alarm(connection.socket, until, partial(self.close, connection))
        self._end_if_last()

    def _end_if_last(self) -> None:
        if self._grace is not None and not self.open:
            self.poller.end()

    def _swallow(self, connection: Any) -> None:
        try:
            received = connection.socket.recv_into(self._scratch)
        except BlockingIOError:
            return
        except OSError:
            self.close(connection)
            return
        connection.swallowed += received
        if received == 0 and connection.swallowed == 0 and connection.arrival.awaits_end:
            connection.arrival.proven()
        if received == 0 or connection.swallowed > SWALLOW_BYTES:
            self.close(connection)
