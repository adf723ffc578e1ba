"""A picture's file without anything that is not picture."""

from __future__ import annotations

from dataclasses import dataclass

from server.imaging.orientation import UPRIGHT, swaps_sides

# Real files have a few thousand chunks at most; a loop over millions of empty ones is an attack.
MAX_CHUNKS = 65_536


@dataclass(frozen=True, slots=True)
class Stripped:
    """What a container says about its picture, and the pieces of it that make the picture.

    `width` and `height` are those in the file, before `orientation` (EXIF, 1 to 8) is applied.
    `bits` is the depth of a sample. `frames` counts pictures that follow each other in an
    animation. `portable` says that every common reader shows the stripped file alike: ordinary
    8-bit colour or grey. `profile` is the ICC profile that says what the colours mean, unchecked,
    empty where there is none.
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

    @property
    def data(self) -> bytes:
        """The file, whole: the same picture data, no metadata."""
        return b"".join(self.parts)

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height in pixels once the orientation is applied."""
        if swaps_sides(self.orientation):
            return self.height, self.width
        return self.width, self.height
