"""Finds out whether a model shows the same scene in another frame: mirrored, moved or zoomed.

Both pictures become one bit for each pixel that has structure: lighter or darker than around it.
A shift is then a shift of one long number, and how far two pictures agree a count of bits, which
is quick enough to try all shifts in many sizes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image, ImageChops, ImageFilter

_LONGER = 64  # pixels
_REACH = 16  # pixels that the scene may have moved
_FEWEST = 500  # pixels of structure, with as many to compare at every shift
_FAINTEST = 3  # levels of 255 that count as structure
_SLOW = 3
_NEAR = 1  # pixels: no further than this, it is the same frame
_SIZES = [1.06**step for step in range(-9, 10)]
_FLIPS = (
    Image.Transpose.FLIP_LEFT_RIGHT,
    Image.Transpose.FLIP_TOP_BOTTOM,
    Image.Transpose.ROTATE_180,
)
_SURE = 0.5  # agreement of unrelated pictures stays below 0.3
_CLEARER = 0.2


@dataclass(frozen=True, slots=True)
class _Signs:
    """A picture as one number, a bit for each pixel, with zeros after each row.

    `lighter`: where it is lighter than around. `told`: where it is either.
    """

    lighter: int
    told: int


def reframed(source: Image.Image, model: Image.Image, keep: Image.Image) -> bool:
    """Return whether `model` surely shows what `source` shows under `keep`, but somewhere else.

    All are grey pictures, the first two of one size; False where it cannot be told.
    """
    factor = _LONGER / max(source.size)
    if factor > 1:
        return False
    size = (max(1, round(source.width * factor)), max(1, round(source.height * factor)))
    small = keep.resize(size, Image.Resampling.BOX).point([0] * 255 + [255])
    wanted = _signs(source.resize(size, Image.Resampling.BOX), small)
    if wanted.told.bit_count() < _FEWEST:
        return False
    here = elsewhere = 0.0
    for variant, plain in _variants(model.resize(size, Image.Resampling.BOX)):
        found = _signs(*variant)
        for down in range(-_REACH, _REACH + 1):
            for across in range(-_REACH, _REACH + 1):
                alike = _agreement(wanted, found, down * _stride(size[0]) + across)
                if plain and max(abs(down), abs(across)) <= _NEAR:
                    here = max(here, alike)
                else:
                    elsewhere = max(elsewhere, alike)
    return elsewhere >= _SURE and elsewhere >= here + _CLEARER


def _variants(model: Image.Image) -> Iterator[tuple[tuple[Image.Image, Image.Image], bool]]:
    """Yield the picture in other sizes and mirrored, with what of it is there.

    And whether it is nearly as it came.
    """
    for stretch in _SIZES:
        yield _zoomed(model, stretch), 0.93 < stretch < 1.07
    for flip in _FLIPS:
        for stretch in _SIZES[8:11]:
            yield _zoomed(model.transpose(flip), stretch), False


def _zoomed(image: Image.Image, stretch: float) -> tuple[Image.Image, Image.Image]:
    middle_x, middle_y = (side / 2 * (1 - stretch) for side in image.size)
    terms = (stretch, 0, middle_x, 0, stretch, middle_y)
    there = Image.new("L", image.size, 255).transform(image.size, Image.Transform.AFFINE, terms)
    seen = image.transform(image.size, Image.Transform.AFFINE, terms, Image.Resampling.BILINEAR)
    return seen, there.filter(ImageFilter.MinFilter(2 * _SLOW + 1))


def _signs(grey: Image.Image, there: Image.Image) -> _Signs:
    slow = grey.filter(ImageFilter.GaussianBlur(_SLOW))
    fine = ImageChops.subtract(grey.filter(ImageFilter.GaussianBlur(0.7)), slow, offset=128)
    told = fine.point([255 * (abs(level - 128) >= _FAINTEST) for level in range(256)])
    return _Signs(
        _number(fine.point([0] * 129 + [255] * 127)), _number(ImageChops.darker(told, there))
    )


def _number(image: Image.Image) -> int:
    padded = Image.new("1", (_stride(image.width), image.height))
    padded.paste(image.convert("1", dither=Image.Dither.NONE), (0, 0))
    return int.from_bytes(padded.tobytes(), "big")


def _stride(width: int) -> int:
    """Return the bits of a row: whole bytes, with zeros for what is shifted over its end."""
    return -(-(width + _REACH) // 8) * 8


def _agreement(wanted: _Signs, found: _Signs, shift: int) -> float:
    """Return how far both agree, 0 to 1, whether they are alike or each other's negatives."""
    lighter, told = found.lighter, found.told
    if shift >= 0:
        lighter, told = lighter >> shift, told >> shift
    else:
        lighter, told = lighter << -shift, told << -shift
    both = wanted.told & told
    count = both.bit_count()
    if count < _FEWEST:
        return 0.0
    return abs(1 - 2 * ((wanted.lighter ^ lighter) & both).bit_count() / count)
