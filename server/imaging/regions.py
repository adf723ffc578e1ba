"""What a mask selects, as somebody would point it out: its parts, where each is, its shape."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from server.imaging.coverage import CoveragePlane
from server.sizes import Size

MOST_PARTS = 3
_GRID = 64  # cells of the longer side in which parts are told apart
_CRUMB = 0.04  # of all that is selected; smaller parts are not worth words
_FULL = 0.93  # of its box that a rectangle fills
_OVAL = (0.70, 0.86)  # an ellipse fills pi / 4


@dataclass(frozen=True, slots=True)
class Region:
    """A part of a picture: its box as shares of width and height, and what it looks like.

    `share` is its part of all pixels; `shape` is "rectangular", "round", "oval" or "irregular".
    """

    left: float
    top: float
    right: float
    bottom: float
    share: float
    shape: str


def parts(plane: CoveragePlane) -> list[Region]:
    """Return the regions that `plane` edits, the largest first, without stray pixels.

    One around all of them where they are too many; none where it edits nothing.
    """
    levels = plane.edited().convert("L")
    box = levels.getbbox()
    if box is None:
        return []
    factor = min(1.0, _GRID / max(plane.width, plane.height))
    size = (max(1, round(plane.width * factor)), max(1, round(plane.height * factor)))
    small = levels.resize(size, Image.Resampling.BOX)
    cells = {index for index, level in enumerate(small.tobytes()) if level >= 64}
    groups = sorted(_groups(cells, size[0]), key=len, reverse=True)
    large = [group for group in groups if len(group) >= _CRUMB * len(cells)]
    if len(groups) < 2 or not 1 <= len(large) <= MOST_PARTS:
        return [_region(levels, box)]
    return [_region(levels, _box(group, size, levels.size)) for group in large]


def _groups(cells: set[int], width: int) -> list[list[int]]:
    """Return the cells of a grid by what hangs together, also over corners."""
    left = set(cells)
    groups = []
    while left:
        group, ahead = [], [left.pop()]
        while ahead:
            cell = ahead.pop()
            group.append(cell)
            row, column = divmod(cell, width)
            near = {
                (row + down) * width + column + across
                for down in (-1, 0, 1)
                for across in (-1, 0, 1)
                if 0 <= column + across < width
            }
            found = near & left
            left -= found
            ahead += found
        groups.append(group)
    return groups


def _box(group: list[int], grid: Size, size: Size) -> tuple[int, int, int, int]:
    rows, columns = zip(*(divmod(cell, grid[0]) for cell in group), strict=True)
    wide, high = size[0] / grid[0], size[1] / grid[1]
    return (
        int(min(columns) * wide),
        int(min(rows) * high),
        min(size[0], round((max(columns) + 1) * wide)),
        min(size[1], round((max(rows) + 1) * high)),
    )


def _region(levels: Image.Image, box: tuple[int, int, int, int]) -> Region:
    part = levels.crop(box)
    inner = part.getbbox()
    if inner is not None:  # a box of whole cells is a little too large
        part = part.crop(inner)
        box = (box[0] + inner[0], box[1] + inner[1], box[0] + inner[2], box[1] + inner[3])
    count = part.histogram()[255]
    width, height = levels.size
    return Region(
        box[0] / width,
        box[1] / height,
        box[2] / width,
        box[3] / height,
        count / (width * height),
        _shape(part, count / (part.width * part.height)),
    )


def _shape(part: Image.Image, fill: float) -> str:
    if fill >= _FULL:
        return "rectangular"
    width, height = part.size
    if not _OVAL[0] <= fill <= _OVAL[1] or min(width, height) < 4:
        return "irregular"
    corners = [(x, y) for x in (0, width - 1) for y in (0, height - 1)]
    middles = [
        (width // 2, 0),
        (width // 2, height - 1),
        (0, height // 2),
        (width - 1, height // 2),
    ]
    if any(part.getpixel(at) for at in corners) or not all(part.getpixel(at) for at in middles):
        return "irregular"
    return "round" if abs(width - height) * 8 <= max(width, height) else "oval"
