"""One uploaded picture on its way through: in memory while small, else in a temporary file."""

from __future__ import annotations

from collections.abc import Iterator
from tempfile import SpooledTemporaryFile
from threading import Lock

MAX_IN_MEMORY = 1_048_576
"""Bytes of a picture that stay in memory."""


class Upload:
    """A picture's file as it arrived; `size` is in bytes.

    Closing while another thread reads is allowed, since gRPC's sending thread may outlive the
    call: whatever is read after it is empty.
    """

    def __init__(self) -> None:
        self.size = 0
        # Closed by close(): it outlives this function.
        self._file: SpooledTemporaryFile[bytes] = SpooledTemporaryFile(MAX_IN_MEMORY)  # noqa: SIM115
        self._lock = Lock()

    def write(self, data: bytes) -> None:
        """Append `data`; raises OSError when the disk is full."""
        self._file.write(data)
        self.size += len(data)

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
            self._file.close()

    def _read(self, start: int, size: int) -> bytes:
        with self._lock:
            if self._file.closed:
                return b""
            self._file.seek(start)
            return self._file.read(size)
