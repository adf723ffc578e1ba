"""One caller of a load: the same bytes again and again over one connection, at little cost.

What it costs, every gateway's edits pay alike; answers are counted, not kept.
"""

from __future__ import annotations

import selectors
import socket
import time
from dataclasses import dataclass

SCRATCH = memoryview(bytearray(1 << 20))
LAST_CHUNK = b"\r\n0\r\n\r\n"
MOST_HEAD = 1 << 16
MOST_SAID = 200
"""Bytes kept of an answer that is no success."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One edit: `status` (0: no whole answer), seconds it took, bytes of body, when it ended.

    `why` says what went wrong, if anything did.
    """

    status: int
    seconds: float
    size: int
    ended: float
    why: str = ""


class Caller:
    """One edit after the other over one connection."""

    def __init__(self, selector: selectors.BaseSelector, address: tuple[str, int]) -> None:
        self._selector, self._address = selector, address
        self._socket: socket.socket | None = None
        self.busy = False

    def begin(self, request: memoryview) -> Edit | None:
        """Send a request; return an edit only where that fails at once."""
        self.busy = True
        self._began = time.monotonic()
        self._to_send, self._head = request, bytearray()
        self._status, self._size, self._left, self._tail = 0, 0, -1, b""
        self._closes, self._said = False, b""
        both = selectors.EVENT_READ | selectors.EVENT_WRITE
        try:
            if self._socket is None:
                self._socket = socket.socket()
                self._socket.setblocking(False)
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._selector.register(self._socket, both, self)
                self._socket.connect(self._address)
            else:
                self._selector.modify(self._socket, both, self)
        except BlockingIOError:
            return None  # it connects
        except OSError as error:
            return self.end(str(error))
        return None

    def go_on(self, events: int) -> Edit | None:
        """Send and receive what can be; return the edit when it ended."""
        if not self.busy:
            self.close()  # the gateway closed a connection that rested
            return None
        try:
            if events & selectors.EVENT_WRITE and self._to_send:
                self._send()
            if events & selectors.EVENT_READ and self._receive():
                return self.end()
        except BlockingIOError:
            return None
        except OSError as error:
            return self.end(str(error) or type(error).__name__)
        return None

    def end(self, why: str = "") -> Edit:
        """End the edit under way, badly where `why` says so."""
        now = time.monotonic()
        status = 0 if why else self._status
        if why or self._closes or self._to_send:  # the rest of it would begin the next one
            self.close()
        self.busy = False
        if not why and status != 200:
            why = f"{status} {self._said.decode('utf-8', 'replace')}"
        return Edit(status, now - self._began, self._size, now, why)

    def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._selector.unregister(self._socket)
            self._socket.close()
            self._socket = None

    def _send(self) -> None:
        assert self._socket is not None  # noqa: S101 -- there is one while an edit is under way
        self._to_send = self._to_send[self._socket.send(self._to_send) :]
        if not self._to_send:
            self._selector.modify(self._socket, selectors.EVENT_READ, self)

    def _receive(self) -> bool:
        """Take what came; tell whether the answer is whole."""
        assert self._socket is not None  # noqa: S101 -- as above
        count = self._socket.recv_into(SCRATCH)
        if not count:
            raise ConnectionError("closed before the end")
        piece = SCRATCH[:count]
        if not self._status:
            self._head += piece
            end = self._head.find(b"\r\n\r\n")
            if end < 0 or len(self._head) > MOST_HEAD + len(SCRATCH):
                return False
            self._read_head(bytes(self._head[:end]))
            piece = memoryview(bytes(self._head[end + 4 :]))
        self._size += len(piece)
        if self._status != 200:
            self._said = (self._said + bytes(piece[:MOST_SAID]))[:MOST_SAID]
        if self._left >= 0:
            return self._size >= self._left
        self._tail = (self._tail + bytes(piece[-len(LAST_CHUNK) :]))[-len(LAST_CHUNK) :]
        return self._tail == LAST_CHUNK  # JSON has no such bytes

    def _read_head(self, head: bytes) -> None:
        first, *lines = head.lower().split(b"\r\n")
        self._status = int(first.split()[1])
        fields = {
            name: value.strip() for name, _, value in (line.partition(b":") for line in lines)
        }
        self._left = int(fields.get(b"content-length", b"-1"))
        self._closes = fields.get(b"connection") == b"close"
