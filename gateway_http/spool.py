"""One uploaded picture on its way through: in memory while small, else in a temporary file."""

from __future__ import annotations

from collections.abc import Iterator
from tempfile import TemporaryFile
from threading import Lock
from typing import IO

MAX_IN_MEMORY = 1_048_576
"""Bytes of a picture that stay in memory."""
_SMALL = 16_384
"""Bytes below which a piece is copied to the one before: an object of its own costs more."""


class Upload:
    """A picture's file as it arrived; `size` is in bytes.

    In memory the pieces are kept as they came, without a copy. Closing while another thread reads
    is allowed, since gRPC's sending thread may outlive the call: whatever is read after it is
    empty.
    """

    def __init__(self) -> None:
        self.size = 0
        self._pieces: list[bytes | bytearray | memoryview] = []
        self._file: IO[bytes] | None = None
        self._lock = Lock()

    def write(self, data: bytes | memoryview) -> None:
        """Append `data`, which must not change; raises OSError when the disk is full."""
        self.size += len(data)
        if self._file is None and self.size > MAX_IN_MEMORY:
            # Closed by close(): it outlives this function. Without a buffer, whose last bytes
            # would find the disk full when it is read or closed.
            self._file = TemporaryFile(buffering=0)  # noqa: SIM115
            for piece in self._pieces:
                self._append(piece)
            self._pieces.clear()
        if self._file is not None:
            self._append(data)
        elif len(data) >= _SMALL:
            self._pieces.append(data)
        elif self._pieces and isinstance(last := self._pieces[-1], bytearray):
            last += data
        else:
            self._pieces.append(bytearray(data))

    def pieces(self, size: int) -> Iterator[bytes]:
        """Yield the file in pieces of at most `size` bytes; one empty piece for an empty file."""
        for start in range(0, max(self.size, 1), size):
            yield self._read(start, size)

    def data(self) -> bytes:
        """Return the whole file."""
        return self._read(0, self.size)

    def close(self) -> None:
        """Forget the file; may be called again."""
        with self._lock:
            self._pieces.clear()
            if self._file is not None:
                self._file.close()

    def _append(self, data: bytes | bytearray | memoryview) -> None:
        assert self._file is not None  # noqa: S101 -- made by `write`
        left = memoryview(data)
        while left:
            left = left[self._file.write(left) :]

    def _read(self, start: int, size: int) -> bytes:
        with self._lock:
            if self._file is None:
                return b"".join(self._pieces)[start : start + size]
            if self._file.closed:
                return b""
            self._file.seek(start)
            return self._file.read(size)
