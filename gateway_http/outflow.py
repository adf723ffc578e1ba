"""What a client is sent: a thread hands over what the client does not take, and goes."""

from __future__ import annotations

import socket
from collections import deque
from itertools import islice

from gateway_http.patience import WRITE, Patience

_MANY = 65_536
"""Bytes that may wait when more is written; beyond, the writer waits, too."""
_AT_ONCE = 64
"""Pieces for one system call, which takes 1,024 at most."""


class Outflow:
    """Writes to `connection`, a non-blocking socket; one thread at a time uses it.

    `pending` bytes are still to be sent by `flush`; they are kept as they are, without a copy.
    While it `gathers`, pieces wait for each other until `send`, and the writer for nobody.
    """

    def __init__(self, connection: socket.socket, patience: Patience) -> None:
        self.patience = patience
        self.gathers = False
        self.pending = 0
        self.bytes_written = 0
        self._connection = connection
        self._pieces: deque[memoryview] = deque()

    def write(self, data: bytes, /) -> int:
        """Send `data`, or keep it for `flush`; raises OSError, TimeoutError among them."""
        while self.pending > _MANY and not self.gathers:
            self.patience.wait(self._connection, WRITE)
            self.flush()
        if data:
            self._pieces.append(memoryview(data))
            self.pending += len(data)
            if not self.gathers:
                self.flush()
        return len(data)

    def send(self) -> None:
        """Send what was gathered, or keep it for `flush`; raises OSError."""
        self.gathers = False
        self.flush()

    def flush(self) -> bool:
        """Send what the client takes now, and tell whether that was all; raises OSError."""
        while self._pieces:
            try:
                sent = self._connection.sendmsg(islice(self._pieces, _AT_ONCE))
            except BlockingIOError:
                return False
            self.patience.moved(sent)
            self.pending -= sent
            self.bytes_written += sent
            while self._pieces and sent >= len(self._pieces[0]):
                sent -= len(self._pieces.popleft())
            if sent:
                self._pieces[0] = self._pieces[0][sent:]
        return True

    def close(self) -> None:
        """Forget what was not sent: who knows the connection yet would keep megabytes of it."""
        self._pieces.clear()
        self.pending = 0
