"""What a client sends: gathered without waiting by the poller, or awaited in a request's thread."""

from __future__ import annotations

import socket

from gateway_http.patience import READ, Patience
from gateway_http.slow_bodies import SlowBodies

_PIECE = 65_536


class Inflow:
    """The bytes of `connection`, a non-blocking socket; one thread at a time uses it.

    While `waits` is off, reading ends with what is here. A wait is entered in `slow`, by which it
    may be cut short; it and too long a wait raise TimeoutError.
    """

    def __init__(self, connection: socket.socket, patience: Patience, slow: SlowBodies) -> None:
        self.patience = patience
        self.waits = False
        self.ended = False
        self.closed = False
        self.bytes_read = 0
        self._connection = connection
        self._slow = slow
        self._held = bytearray()
        self._at = 0

    def __len__(self) -> int:
        return len(self._held) - self._at

    def has_data(self) -> bool:
        """Tell whether something is here."""
        return len(self) > 0

    def held(self) -> bytearray:
        """Return what is here, not to be changed."""
        if self._at:
            self._held, self._at = self._held[self._at :], 0
        return self._held

    def pull(self) -> int:
        """Take in what has arrived, without waiting, and return its size; raises OSError.

        At the client's end `ended` is set.
        """
        try:
            data = self._connection.recv(_PIECE)
        except BlockingIOError:
            return 0
        self.ended = not data
        self._held += data
        self.bytes_read += len(data)
        return len(data)

    def read(self, size: int, /) -> bytes:
        """Return `size` bytes, fewer only at the end; raises OSError."""
        pieces = [self._take(size)]
        left = size - len(pieces[0])
        while left and (data := self._receive(left)):
            pieces.append(data)
            left -= len(data)
        return b"".join(pieces)

    def readline(self, size: int, /) -> bytes:
        """Return a line, cut at `size` bytes; raises OSError."""
        while (found := self._held.find(b"\n", self._at, self._at + size)) < 0:
            if len(self) >= size or not (data := self._receive(_PIECE)):
                return self._take(size)
            self._held += data
        return self._take(found + 1 - self._at)

    def drop(self) -> None:
        """Forget what is here, and end."""
        self._held.clear()
        self._at = 0
        self.ended = True

    def close(self) -> None:
        """End reading."""
        self.drop()
        self.closed = True

    def _take(self, size: int) -> bytes:
        taken = bytes(memoryview(self._held)[self._at : self._at + size])
        self._at += len(taken)
        if self._at == len(self._held):
            self._held, self._at = bytearray(), 0
        return taken

    def _receive(self, size: int) -> bytes:
        while self.waits and not self.ended:
            try:
                data = self._connection.recv(min(size, _PIECE))
            except BlockingIOError:
                with self._slow.waiting(self._connection):
                    self.patience.wait(self._connection, READ)
                continue
            self.ended = not data
            self.bytes_read += len(data)
            self.patience.moved(len(data))
            return data
        return b""
