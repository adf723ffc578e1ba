"""What a client is sent: a thread hands over what the client does not take, and goes."""

from __future__ import annotations

import socket
from collections import deque

from gateway_http.patience import WRITE, Patience

_MANY = 65_536
"""Bytes that may wait when more is written; beyond, the writer waits, too."""


class Outflow:
    """Writes to `connection`, a non-blocking socket; one thread at a time uses it.

    `pending` bytes are still to be sent by `flush`. What an answer's one piece leaves is kept as it
    is, without a copy.
    """

    def __init__(self, connection: socket.socket, patience: Patience) -> None:
        self.patience = patience
        self.pending = 0
        self.bytes_written = 0
        self._connection = connection
        self._pieces: deque[memoryview] = deque()

    def write(self, data: bytes, /) -> int:
        """Send `data`, or keep it for `flush`; raises OSError, TimeoutError among them."""
        while self.pending > _MANY:
            self.patience.wait(self._connection, WRITE)
            self.flush()
        if data:
            self._pieces.append(memoryview(data))
            self.pending += len(data)
            self.flush()
        return len(data)

    def flush(self) -> bool:
        """Send what the client takes now, and tell whether that was all; raises OSError."""
        while self._pieces:
            try:
                sent = self._connection.send(self._pieces[0])
            except BlockingIOError:
                return False
            self.patience.moved(sent)
            self.pending -= sent
            self.bytes_written += sent
            if sent == len(self._pieces[0]):
                self._pieces.popleft()
            else:
                self._pieces[0] = self._pieces[0][sent:]
        return True
