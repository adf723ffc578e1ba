"""Connections on which a request is awaited: accepted, timed, bounded, and none has a thread.

A thread gets a connection once a request's head is here, and its body, too, where that is small
(a large one is for the app to refuse before it is read).
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from gateway_http.bounds import Bounds
from gateway_http.farewell import Farewell
from gateway_http.gathering import Gathering
from gateway_http.poller import READ

_BATCH = 64
"""Connections accepted before the others get their turn."""
_PAUSE = 0.1
"""Seconds for which nobody is accepted when we are out of places or of file descriptors."""
_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Reception:
    """Accepts at `door` and gives connections with a request to `work`, on the poller's thread.

    `farewell` brings the poller, ends connections and knows all that are open; `connect` makes one
    of a socket and an address.
    """

    def __init__(
        self,
        door: socket.socket,
        farewell: Farewell,
        bounds: Bounds,
        connect: Callable[[socket.socket, Any], Any],
        work: Callable[[Any], None],
    ) -> None:
        self._door = door
        self._poller = farewell.poller
        self._bounds = bounds
        self._farewell = farewell
        self._connect = connect
        self._work = work
        self._awaited: dict[Any, int] = {}  # who is awaited, the longest first: bytes held
        self._gathered = 0
        self._closed = False
        door.setblocking(False)
        self._poller.watch(door, READ, self._accept)

    def expect(self, connection: Any) -> None:
        """Await the next request; what is left of the last answer is sent first."""
        self._poller.forget(connection.socket)
        if self._closed:
            self._farewell.begin(connection)
            return
        if connection.wfile.pending:
            self._farewell.flush(connection, self.expect)
            return
        connection.begin(Gathering())
        self._awaited[connection] = 0
        self._poller.alarm(
            connection.socket,
            self._poller.now() + self._bounds.idle,
            partial(self._expired, connection),
        )
        self._consider(connection)
        if connection in self._awaited:
            self._poller.watch(connection.socket, READ, partial(self._arrived, connection))

    def close(self) -> None:
        """Accept nobody any more, and end with whom no request is under way; no more work comes."""
        self._closed = True
        self._poller.forget(self._door)
        self._door.close()
        for connection in list(self._awaited):
            self._leave(connection)
            self._farewell.close(connection)

    def _accept(self) -> None:
        for _ in range(_BATCH):
            if len(self._farewell.open) >= self._bounds.connections and not self._make_room():
                self._pause()
                return
            try:
                accepted, address = self._door.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _EXHAUSTED and not self._make_room():
                    self._pause()
                    return
                continue  # with the place that was made, or without a client that has gone
            accepted.setblocking(False)
            connection = self._connect(accepted, address)
            self._farewell.open.add(connection)
            self.expect(connection)
            if connection in self._awaited:  # its first bytes are often here
                self._arrived(connection)

    def _pause(self) -> None:
        self._poller.forget(self._door)
        self._poller.alarm(self._door, self._poller.now() + _PAUSE, self._resume)

    def _resume(self) -> None:
        self._poller.watch(self._door, READ, self._accept)

    def _make_room(self) -> bool:
        """End with whom we have awaited longest, and tell whether there is anyone."""
        longest = next(iter(self._awaited), None)
        if longest is None:
            return self._farewell.hurry_one()
        self._leave(longest)
        self._farewell.close(longest)
        return True

    def _arrived(self, connection: Any) -> None:
        try:
            size = connection.rfile.pull()
        except OSError:
            self._leave(connection)
            self._farewell.close(connection)
            return
        if size or connection.rfile.ended:
            self._consider(connection)

    def _consider(self, connection: Any) -> None:
        """Go on with what is here now."""
        rfile, gathering = connection.rfile, connection.gathering
        if rfile.ended and not rfile.has_data():
            self._leave(connection)
            self._farewell.close(connection)
            return
        had_head = gathering.head > 0
        if gathering.ready(rfile):
            self._leave(connection)
            self._work(connection)
            return
        if rfile.ended:
            self._refuse(connection, "400 Bad Request", "The request is cut short.")
            return
        self._time(connection, had_head)
        self._bound(connection)

    def _time(self, connection: Any, had_head: bool) -> None:
        """Set when this is given up: the head as a whole is timed, a body by its rate."""
        size, now, before = len(connection.rfile), self._poller.now(), self._awaited[connection]
        until = None
        if connection.gathering.head:
            patience = connection.rfile.patience
            if had_head:
                patience.waited(now - connection.looked)
                patience.moved(size - before)
            elif connection.gathering.invites:
                with suppress(OSError):  # a client that has gone is noticed by its end
                    connection.wfile.write(_CONTINUE)
            until = now + patience.left
        elif size and not before:
            until = now + self._bounds.head
        connection.looked = now
        if until is not None:
            self._poller.alarm(connection.socket, until, partial(self._expired, connection))
        self._gathered += size - before
        self._awaited[connection] = size

    def _bound(self, connection: Any) -> None:
        """Give up who has been gathering longest while all together hold too much."""
        while self._gathered > self._bounds.gathered:
            longest = next(one for one, size in self._awaited.items() if size)
            self._expired(longest)
            if longest is connection:
                return

    def _expired(self, connection: Any) -> None:
        if connection.rfile.has_data():
            self._refuse(connection, "408 Request Timeout", "The request did not arrive in time.")
        else:
            self._leave(connection)
            self._farewell.close(connection)

    def _refuse(self, connection: Any, *verdict: str) -> None:
        self._leave(connection)
        connection.verdict = verdict
        connection.rfile.drop()
        self._work(connection)

    def _leave(self, connection: Any) -> None:
        self._poller.forget(connection.socket)
        self._gathered -= self._awaited.pop(connection)
