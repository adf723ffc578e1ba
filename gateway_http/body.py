"""Request bodies on a connection, read piecewise: nothing is buffered beyond what is asked for.

cheroot's own reader of chunked bodies takes each chunk into memory whole, however long the client
says it is, and copies what is left of it at each read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

_MAX_LINE = 256
_MAX_TRAILER_LINES = 100


class Source(Protocol):
    """A connection's buffered reader."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, none only at the end."""

    def readline(self, size: int, /) -> bytes:
        """Return a line, cut at `size` bytes."""


class SizedBody:
    """A body of `length` bytes; `before` is called before the first byte is awaited."""

    def __init__(self, source: Source, length: int, before: Callable[[], None]) -> None:
        self._source = source
        self._before: Callable[[], None] | None = before
        self._left = length

    @property
    def exhausted(self) -> bool:
        """Whether the connection stands behind the body."""
        return self._left == 0

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes, all for -1; none at the end, or when the client has gone."""
        if size < 0:
            return b"".join(iter(lambda: self.read(self._left), b""))
        wanted = min(size, self._left)
        if wanted == 0:
            return b""
        before, self._before = self._before, None
        if before is not None:
            before()
        data = self._source.read(wanted)
        self._left -= len(data)
        return data


class ChunkedBody:
    """A body in chunks (RFC 9112, 7.1); raises ValueError where it is malformed or cut."""

    def __init__(self, source: Source, before: Callable[[], None]) -> None:
        self._source = source
        self._before: Callable[[], None] | None = before
        self._left = 0
        self._first = True
        self.exhausted = False

    def read(self, size: int = -1, /) -> bytes:
        """Return `size` bytes, all for -1; fewer only at the end."""
        before, self._before = self._before, None
        if before is not None:
            before()
        pieces = []
        while size != 0 and not self.exhausted:
            if self._left == 0:
                self._next_chunk()
                continue
            piece = self._source.read(self._left if size < 0 else min(size, self._left))
            if not piece:
                raise ValueError("the body ends inside a chunk")
            pieces.append(piece)
            self._left -= len(piece)
            size -= len(piece) if size > 0 else 0
        return b"".join(pieces)

    def _next_chunk(self) -> None:
        if not self._first and self._line() != b"":
            raise ValueError("a chunk does not end where it said")
        self._first = False
        digits = self._line().partition(b";")[0].strip(b" \t")
        if not digits or len(digits) > 15 or digits.strip(b"0123456789abcdefABCDEF"):
            raise ValueError("a chunk has no size")
        self._left = int(digits, 16)
        if self._left == 0:
            self._skip_trailers()
            self.exhausted = True

    def _skip_trailers(self) -> None:
        for _ in range(_MAX_TRAILER_LINES):
            if not self._line():
                return
        raise ValueError("too many trailers")

    def _line(self) -> bytes:
        line = self._source.readline(_MAX_LINE)
        if not line.endswith(b"\r\n"):
            raise ValueError("a line of the chunked coding is cut or too long")
        return line[:-2]
