"""Sizes: what a caller asks for, and the nearest thing that a route's upstream can be asked for."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

Size = tuple[int, int]

MAX_EDGE = 16_383  # WebP's own limit, the least of the three formats
MEGAPIXEL = 1024 * 1024
SAME_SHAPE = 0.01  # aspect ratios within 1 % count as equal (contract, section 4)
_SIZE = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})")
_RATIO = re.compile(r"([1-9][0-9]{0,2}):([1-9][0-9]{0,2})")


def parse_size(text: str) -> Size | None:
    """Return (width, height) in pixels for "WIDTHxHEIGHT", `None` for "auto".

    Raises `ValueError` for anything else, and for an edge over 16,383 pixels.
    """
    if text == "auto":
        return None
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f'"{text[:30]}" is neither WIDTHxHEIGHT, such as 1024x1024, nor auto')
    width, height = int(match[1]), int(match[2])
    if max(width, height) > MAX_EDGE:
        raise ValueError(f"an edge of {text} is over {MAX_EDGE} pixels")
    return width, height


def parse_ratio(text: str) -> Size | None:
    """Return (width, height) for "W:H", else `None`."""
    match = _RATIO.fullmatch(text)
    return (int(match[1]), int(match[2])) if match else None


def same_shape(one: Size, other: Size) -> bool:
    """Tell whether two sizes have one aspect ratio, within 1 %."""
    across, along = one[0] * other[1], one[1] * other[0]
    return abs(across - along) * 100 <= min(across, along)


def about_a_megapixel(shape: Size) -> Size:
    """Return the size of `shape`'s aspect ratio that has a megapixel, as models make by default."""
    factor = math.sqrt(MEGAPIXEL / (shape[0] * shape[1]))
    return max(1, round(shape[0] * factor)), max(1, round(shape[1] * factor))


def nearest_listed(wanted: Size, listed: Sequence[str]) -> str:
    """Return the entry of `listed` ("1024x1024" or "3:2") whose shape is nearest to `wanted`'s.

    Among equal shapes the one of the nearest area wins; entries that are no size are passed over.
    """

    def distance(entry: str) -> tuple[float, float]:
        size = parse_ratio(entry) or parse_size(entry) or wanted
        shape = abs(math.log(wanted[0] * size[1] / (wanted[1] * size[0])))
        return round(shape, 6), abs(math.log(wanted[0] * wanted[1] / (size[0] * size[1])))

    candidates = [entry for entry in listed if entry != "auto"]
    return min(candidates, key=distance)


@dataclass(frozen=True, slots=True)
class SizeRule:
    """Any size within bounds: OpenAI's rule for gpt-image-2 and later (upstreams, 1.2).

    Edges are multiples of `multiple_of` and at most `max_edge` pixels, the longer at most
    `max_ratio` times the shorter, the area between `min_pixels` and `max_pixels`.
    """

    multiple_of: int
    max_edge: int
    max_ratio: int
    min_pixels: int
    max_pixels: int

    def allows(self, size: Size) -> bool:
        """Tell whether `size` is within the rule."""
        return (
            all(edge % self.multiple_of == 0 and edge <= self.max_edge for edge in size)
            and max(size) <= self.max_ratio * min(size)
            and self.min_pixels <= size[0] * size[1] <= self.max_pixels
        )

    def nearest(self, wanted: Size) -> str:
        """Return the allowed size nearest to `wanted`: the same shape, scaled into the bounds."""
        if self.allows(wanted):
            return f"{wanted[0]}x{wanted[1]}"
        ratio = min(max(wanted[0] / wanted[1], 1 / self.max_ratio), self.max_ratio)
        area = min(max(wanted[0] * wanted[1], self.min_pixels), self.max_pixels)
        width = min(math.sqrt(area * ratio), self.max_edge, self.max_edge * ratio)
        middle = round(width / self.multiple_of)
        candidates = [
            (columns * self.multiple_of, rows * self.multiple_of)
            for columns in range(max(1, middle - 8), middle + 9)
            for rows in range(max(1, round(columns / ratio) - 1), round(columns / ratio) + 2)
        ]

        def distance(size: Size) -> tuple[int, float]:
            shape = abs(math.log(size[0] / size[1] / ratio))
            return int(shape / SAME_SHAPE), abs(math.log(size[0] * size[1] / area))

        best = min(filter(self.allows, candidates), key=distance)
        return f"{best[0]}x{best[1]}"
