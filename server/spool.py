"""A file's bytes while an edit lasts: in memory while small, else on disk, under no name."""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path

SMALL = 1_048_576
"""Bytes of a file that stay in memory."""
_PIECE = 1_048_576


class Spooled:
    """A file on disk that nobody else can open; its room is free when this object is.

    It lies where `tempfile` puts things: TMPDIR, else /tmp.
    """

    def __init__(self) -> None:
        self._descriptor, path = tempfile.mkstemp(prefix="imageedit-")
        weakref.finalize(self, os.close, self._descriptor)
        Path(path).unlink()
        self._size = 0

    def __len__(self) -> int:
        """Return the size in bytes."""
        return self._size

    def append(self, data: bytes) -> None:
        """Write `data` at the end; raises OSError where the disk is full."""
        left = memoryview(data)
        while left:
            left = left[os.write(self._descriptor, left) :]
        self._size += len(data)

    def read(self) -> bytes:
        """Return the whole file: a copy in memory for as long as the caller keeps it."""
        return os.pread(self._descriptor, self._size, 0)

    def pieces(self) -> Iterator[bytes]:
        """Yield the file in pieces of at most 1 MiB."""
        for start in range(0, self._size, _PIECE):
            yield os.pread(self._descriptor, _PIECE, start)


File = bytes | Spooled


class Spool:
    """A file that is still arriving."""

    def __init__(self) -> None:
        self._memory = bytearray()
        self._spooled: Spooled | None = None

    def write(self, data: bytes) -> None:
        """Append `data`; raises OSError where the disk is full."""
        if self._spooled is not None:
            self._spooled.append(data)
            return
        self._memory += data
        if len(self._memory) > SMALL:
            self._spooled = Spooled()
            self._spooled.append(bytes(self._memory))
            self._memory.clear()

    def file(self) -> File:
        """Return what was written."""
        return bytes(self._memory) if self._spooled is None else self._spooled


def spooled(data: File) -> File:
    """Return `data` itself while small or where the disk is full, else as a file on disk."""
    if len(data) <= SMALL or isinstance(data, Spooled):
        return data
    try:
        file = Spooled()
        file.append(data)
    except OSError:
        return data
    return file


def contents(file: File) -> bytes:
    """Return the bytes of a file, wherever they are."""
    return file if isinstance(file, bytes) else file.read()


def pieces(file: File) -> Iterator[bytes]:
    """Yield the bytes of a file, never having a large one in memory."""
    if isinstance(file, bytes):
        yield file
    else:
        yield from file.pieces()
