"""Draws masks for people who have none: shapes, a colour, or what is bright in a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from server.domain import OutputFormat
from server.imaging.bad_picture import BadPicture
from server.imaging.coverage import CoveragePlane
from server.imaging.decode import DEFAULT_MAX_PIXELS, decode, measure
from server.imaging.encode import encode

Box = tuple[int, int, int, int]
"""Left, top, width, height in pixels."""


@dataclass(frozen=True, slots=True)
class Rectangle:
    """The pixels of a box."""

    box: Box


@dataclass(frozen=True, slots=True)
class Ellipse:
    """What fills a box and touches its sides."""

    box: Box


@dataclass(frozen=True, slots=True)
class Polygon:
    """What is inside of three points or more, each x and y in pixels, and the line itself."""

    points: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Colour:
    """Pixels of which no channel is further than `tolerance` from red, green, blue; 0 to 255."""

    rgb: tuple[int, int, int]
    tolerance: int


@dataclass(frozen=True, slots=True)
class Bright:
    """Pixels whose luminance is `threshold` or more, 0 to 255."""

    threshold: int


Selection = Rectangle | Ellipse | Polygon | Colour | Bright


@dataclass(frozen=True, slots=True)
class DrawnMask:
    """A grey PNG, white where the edit goes; `share` is that part of all pixels, 0 to 1."""

    data: bytes
    width: int
    height: int
    share: float


class NothingSelected(BadPicture):
    """No pixel of a picture of `size` is selected."""

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__("has nothing where the mask selects")
        self.size = size


def draw_mask(
    data: bytes, selections: Sequence[Selection], *, invert: bool = False, feather: float = 0
) -> DrawnMask:
    """Return the mask of all that is selected of the picture in `data`, as large as it, upright.

    `invert` selects the rest. `feather` is the radius in pixels of a soft edge; whoever cuts it at
    the middle, as this gateway does, finds the edge where it was. Raises `BadPicture` for a file
    that is no usable picture, `NothingSelected` where it has nothing that is selected.
    """
    pixels = decode(measure(data, DEFAULT_MAX_PIXELS)).convert("RGB")
    levels = Image.new("L", pixels.size)
    for selection in selections:
        levels = ImageChops.lighter(levels, _selected(pixels, selection))
    if invert:
        levels = ImageChops.invert(levels)
    if feather:
        levels = levels.filter(ImageFilter.GaussianBlur(feather))
    plane = CoveragePlane.from_levels(levels)
    if plane.bounding_box is None:
        raise NothingSelected(pixels.size)
    return DrawnMask(encode(levels, OutputFormat.PNG).data, *pixels.size, plane.share)


def _selected(pixels: Image.Image, selection: Selection) -> Image.Image:
    levels = Image.new("L", pixels.size)
    draw = ImageDraw.Draw(levels)
    match selection:
        case Rectangle((x, y, width, height)):
            draw.rectangle((x, y, x + width - 1, y + height - 1), fill=255)
        case Ellipse((x, y, width, height)):
            draw.ellipse((x, y, x + width - 1, y + height - 1), fill=255)
        case Polygon(points):
            draw.polygon(points, fill=255)
        case Colour(rgb, tolerance):
            levels = Image.new("L", pixels.size, 255)
            for band, level in zip(pixels.split(), rgb, strict=True):
                near = _within(band, level - tolerance, level + tolerance)
                levels = ImageChops.darker(levels, near)
        case Bright(threshold):
            levels = _within(pixels.convert("L"), threshold, 255)
    return levels


def _within(band: Image.Image, least: int, most: int) -> Image.Image:
    """Return 255 where a band's level is one of `least` to `most`, and 0 elsewhere."""
    return band.point([255 if least <= level <= most else 0 for level in range(256)])
