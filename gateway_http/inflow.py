"""What a client sends: gathered without waiting by the poller, or awaited in a request's thread."""

from __future__ import annotations

import socket
from collections import deque

from gateway_http.patience import READ, Patience
from gateway_http.slow_bodies import SlowBodies

_PIECE = 262_144
_SMALL = 16_384
"""Bytes below which a piece is copied to the one before: an object of its own costs more."""


class Inflow:
    """The bytes of `connection`, a non-blocking socket; one thread at a time uses it.

    They stay in the pieces in which they arrived, so that a picture is copied once, at its end.
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
        self._pieces: deque[bytes | bytearray] = deque()
        self._at = 0  # how much of the first piece is over
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def has_data(self) -> bool:
        """Tell whether something is here."""
        return self._size > 0

    def held(self) -> bytes | bytearray:
        """Return what is here in one piece, not to be changed."""
        if self._at or len(self._pieces) > 1:
            whole = bytearray(memoryview(self._pieces[0])[self._at :])
            for piece in list(self._pieces)[1:]:
                whole += piece
            self._pieces, self._at = deque([whole]), 0
        return self._pieces[0] if self._pieces else b""

    def peek(self, size: int) -> bytes:
        """Return the first `size` bytes of what was `held` before."""
        return bytes(memoryview(self._pieces[0])[self._at : self._at + size]) if size else b""

    def pull(self) -> int:
        """Take in what has arrived, without waiting, and return its size; raises OSError.

        At the client's end `ended` is set.
        """
        try:
            data = self._connection.recv(_PIECE)
        except BlockingIOError:
            return 0
        self._add(data)
        return len(data)

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, none only at the end; raises OSError."""
        if not self._size:
            self._receive(min(size, _PIECE))
        return self._take(size)

    def readline(self, size: int, /) -> bytes:
        """Return a line, cut at `size` bytes; raises OSError."""
        looked = 0
        while True:
            first = self._pieces[0] if self._pieces else b""
            found = first.find(b"\n", self._at + looked, self._at + size)
            if found >= 0:
                return self._take(found + 1 - self._at)
            looked = len(first) - self._at
            if looked >= size:
                return self._take(size)
            if len(self._pieces) < 2 and not self._receive(_PIECE):
                return self._take(size)
            self.held()

    def drop(self) -> None:
        """Forget what is here, and end."""
        self._pieces.clear()
        self._at = self._size = 0
        self.ended = True

    def close(self) -> None:
        """End reading."""
        self.drop()
        self.closed = True

    def _add(self, data: bytes) -> None:
        self.ended = not data
        self.bytes_read += len(data)
        self._size += len(data)
        if len(data) >= _SMALL:
            self._pieces.append(data)
        elif self._pieces and isinstance(last := self._pieces[-1], bytearray):
            last += data
        elif data:
            self._pieces.append(bytearray(data))

    def _take(self, size: int) -> bytes:
        """Return up to `size` bytes of the first piece, itself where that is all of it."""
        if not self._pieces:
            return b""
        first, start = self._pieces[0], self._at
        whole = not start and len(first) <= size
        taken = bytes(first if whole else memoryview(first)[start : start + size])
        self._at += len(taken)
        self._size -= len(taken)
        if self._at == len(first):
            self._pieces.popleft()
            self._at = 0
        return taken

    def _receive(self, size: int) -> int:
        """Await up to `size` bytes, if it `waits`, and return how many came."""
        while self.waits and not self.ended:
            try:
                data = self._connection.recv(size)
            except BlockingIOError:
                with self._slow.waiting(self._connection):
                    self.patience.wait(self._connection, READ)
                continue
            self._add(data)
            self.patience.moved(len(data))
            return len(data)
        return 0
