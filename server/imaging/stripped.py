"""A picture's file without anything that is not picture."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from server.imaging.orientation import UPRIGHT, swaps_sides

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# Real files have a few thousand chunks at most; a loop over millions of empty ones is an attack.
MAX_CHUNKS = 65_536


@dataclass(frozen=True, slots=True)
class Stripped:
    """What a container says about its picture, and the pieces of it that make the picture.

    `width` and `height` are those in the file, before `orientation` (EXIF, 1 to 8) is applied.
    `bits` is the depth of a sample. `frames` counts pictures that follow each other in an
    animation. `portable` says that every common reader shows the stripped file alike: ordinary
    8-bit colour or grey. `profile` is the ICC profile that says what the colours mean, unchecked,
    empty where there is none. `opaque` says that no pixel can be transparent.
    """

    mime_type: str
    width: int
    height: int
    parts: tuple[bytes | memoryview, ...]
    orientation: int = UPRIGHT
    bits: int = 8
    frames: int = 1
    portable: bool = True
    profile: bytes = b""
    opaque: bool = False

    @property
    def data(self) -> bytes:
        """The file, whole: the same picture data, no metadata."""
        return b"".join(self.parts)

    def reader(self) -> io.BufferedReader | io.BytesIO:
        """Return the same to read from, without a copy of it all."""
        if len(self.parts) == 1 and isinstance(self.parts[0], bytes):
            return io.BytesIO(self.parts[0])
        return io.BufferedReader(_Reader(self.parts))

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height in pixels once the orientation is applied."""
        if swaps_sides(self.orientation):
            return self.height, self.width
        return self.width, self.height


class _Reader(io.RawIOBase):
    """Parts as one file."""

    def __init__(self, parts: Sequence[bytes | memoryview]) -> None:
        self._parts = parts
        self._ends = tuple(accumulate(map(len, parts)))
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._ends[-1]}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: WriteableBuffer) -> int:
        index = bisect_right(self._ends, self._position)
        if index == len(self._parts):
            return 0
        part = memoryview(self._parts[index])
        piece = part[self._position - self._ends[index] + len(part) :][: len(memoryview(buffer))]
        memoryview(buffer)[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)
