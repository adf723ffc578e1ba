"""A request's body: texts and files in their order, sent from where they are, never joined."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pybase64

from server.spool import File, pieces

_TOGETHER = 65_536
"""Bytes of small pieces that are sent at once."""


class Base64:
    """A file that is sent in base64."""

    def __init__(self, file: File) -> None:
        self._file = file

    def __len__(self) -> int:
        """Return the characters it takes."""
        return (len(self._file) + 2) // 3 * 4

    def pieces(self) -> Iterator[bytes]:
        """Yield the text; all but the last piece come of whole groups of three bytes."""
        rest = b""
        for piece in pieces(self._file):
            data = rest + piece if rest else piece
            whole = len(data) - len(data) % 3
            yield pybase64.b64encode(memoryview(data)[:whole])
            rest = data[whole:]
        yield pybase64.b64encode(rest)


class Body:
    """The parts of a body. It can be read as often as it is sent."""

    def __init__(self, parts: Iterable[File | Base64]) -> None:
        self._parts = tuple(parts)

    def __len__(self) -> int:
        """Return the size in bytes."""
        return sum(map(len, self._parts))

    def __iter__(self) -> Iterator[bytes]:
        """Yield the bytes: a file's as they are, small pieces together."""
        small = b""
        for part in self._parts:
            for piece in part.pieces() if isinstance(part, Base64) else pieces(part):
                if len(small) + len(piece) > _TOGETHER:
                    yield small
                    small = b""
                if len(piece) > _TOGETHER:
                    yield piece
                else:
                    small += piece
        yield small
