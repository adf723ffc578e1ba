"""What there is to see in a picture: its structure in floats, and how that is reckoned with."""

from __future__ import annotations

from PIL import Image, ImageFilter, ImageMath

from server.sizes import Size

_SLOW = 5  # pixels over which brightness may change without being structure


def structure(grey: Image.Image, size: Size) -> Image.Image:
    """Return `grey` at `size` without its slow changes, in floats around 0."""
    small = grey.resize(size, Image.Resampling.BILINEAR, reducing_gap=1.0)
    fine, slow = (small.filter(ImageFilter.BoxBlur(by)).convert("F") for by in (1, _SLOW))
    return difference(fine, slow)


def slopes(image: Image.Image) -> tuple[Image.Image, Image.Image]:
    """Return the change across and down, for each longer side's length."""
    width, height = image.size
    right, left = (image.crop((by, 0, width + by, height)) for by in (1, -1))
    below, above = (image.crop((0, by, width, height + by)) for by in (1, -1))
    half = max(image.size) / 2
    return difference(right, left, half), difference(below, above, half)


def difference(one: Image.Image, other: Image.Image, factor: float = 1.0) -> Image.Image:
    """Return the difference, times `factor`, pixel by pixel."""
    result: Image.Image = ImageMath.lambda_eval(
        lambda names: (names["a"] - names["b"]) * factor, a=one, b=other
    )
    return result


def product(one: Image.Image, other: Image.Image) -> Image.Image:
    """Return the product, pixel by pixel."""
    result: Image.Image = ImageMath.lambda_eval(
        lambda names: names["a"] * names["b"], a=one, b=other
    )
    return result
