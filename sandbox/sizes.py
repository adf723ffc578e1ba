"""Sizes and token counts that the vendors' models give for what was asked."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from PIL import Image

STANDARD = ((1024, 1024), (1536, 1024), (1024, 1536))
_MEGAPIXEL = 1024 * 1024
# Output tokens of one square picture of 1024 pixels (OpenAI's image guide; medium from its price).
_OLDER: Mapping[str, int] = {"low": 272, "medium": 1056, "high": 4160}
_NEWER: Mapping[str, int] = {
    "low": 196,
    "medium": 1767,
    "high": 7024,
    "xhigh": 10_500,
    "max": 14_000,
}
_OBLONG = 0.52  # newer models use fewer tokens a pixel on pictures that are not square


def nearest(size: tuple[int, int], choices: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """Return the choice whose aspect ratio is nearest to that of `size`."""
    aspect = math.log(size[0] / size[1])
    return min(choices, key=lambda choice: abs(math.log(choice[0] / choice[1]) - aspect))


def megapixel(width: float, height: float) -> tuple[int, int]:
    """Return about a megapixel of this aspect ratio (9:21 to 21:9), in multiples of 16."""
    aspect = min(max(width / height, 9 / 21), 21 / 9)
    rows = [16 * step for step in range(36, 101)]
    sizes = [(16 * round(row * aspect / 16), row) for row in rows]
    fitting = [size for size in sizes if 0.85 <= size[0] * size[1] / _MEGAPIXEL <= 1.15]
    return min(fitting, key=lambda size: _misfit(size, aspect))


def _misfit(size: tuple[int, int], aspect: float) -> tuple[float, int]:
    """Order sizes by the error of the aspect ratio in tenths of a per cent, then by area."""
    error = abs(size[0] / size[1] / aspect - 1)
    return round(error, 3), abs(size[0] * size[1] - _MEGAPIXEL)


def output_tokens(size: tuple[int, int], quality: str, newer: bool) -> int:
    """Return the tokens of one picture of `size`."""
    area = size[0] * size[1] / _MEGAPIXEL
    if not newer:
        return round(_OLDER[quality] * area)
    return round(_NEWER[quality] * area * (1 if size[0] == size[1] else _OBLONG))


def text_tokens(prompt: str) -> int:
    """Return the tokens of a text: about four characters each."""
    return math.ceil(len(prompt) / 4)


def image_tokens(images: Iterable[Image.Image]) -> int:
    """Return the tokens of pictures that go in: patches of 32 pixels, at most 1,536 each."""
    return sum(
        min(1536, math.ceil(image.width / 32) * math.ceil(image.height / 32)) for image in images
    )
