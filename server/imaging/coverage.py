"""The one internal form of a mask."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from server.sizes import Size


@dataclass(frozen=True, slots=True)
class CoveragePlane:
    """Which pixels of a picture are to be edited: each of `width` x `height` either is or is not.

    `rows` holds a bit for each pixel, 1 = edit, the left one highest, each row filled up with zeros
    to whole bytes: 2 MiB for the largest picture, as it is kept for as long as an upstream works.
    """

    width: int
    height: int
    rows: bytes

    @classmethod
    def from_levels(cls, levels: Image.Image, threshold: int = 128) -> CoveragePlane:
        """Return the plane that edits where the grey picture `levels` has `threshold` or more."""
        bits = levels.point([255 if level >= threshold else 0 for level in range(256)], "1")
        return cls(*levels.size, bits.tobytes())

    def inverted(self) -> CoveragePlane:
        """Return the plane that edits what this one keeps."""
        return CoveragePlane(self.width, self.height, self.protected().tobytes())

    def edited(self, size: Size | None = None) -> Image.Image:
        """Return a picture of mode 1, white where an edit goes, stretched to `size` if given."""
        return self._picture("1", size)

    def protected(self, size: Size | None = None) -> Image.Image:
        """Return the same the other way round: white where everything stays."""
        return self._picture("1;I", size)

    def _picture(self, bits: str, size: Size | None) -> Image.Image:
        picture = Image.frombytes("1", (self.width, self.height), self.rows, "raw", bits)
        if size is None or size == picture.size:
            return picture
        return picture.resize(size, Image.Resampling.NEAREST)

    @property
    def bounding_box(self) -> tuple[int, int, int, int] | None:
        """Left, top, right, bottom of what is edited, the last two exclusive; None: nothing is."""
        return self.edited().getbbox()

    @property
    def protects_nothing(self) -> bool:
        """Whether every pixel is edited."""
        return int.from_bytes(self.rows, "big").bit_count() == self.width * self.height

    @property
    def share(self) -> float:
        """The part of all pixels that is edited, 0 to 1."""
        edited = int.from_bytes(self.rows, "big").bit_count()
        return edited / (self.width * self.height)
