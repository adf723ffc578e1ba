"""Scenes with something to see, and what models that move them make of them."""

from __future__ import annotations

import functools

from PIL import Image

from sandbox import noise
from tests.programs import ROOT

SAMPLES = ROOT / "docs" / "samples"
SCENES = ("landscape", "still life", "clouds")


@functools.cache
def _large(name: str) -> Image.Image:
    if name == "clouds":
        bands = [noise.clouds((1200, 900), band, (160, 160)) for band in "rgb"]
        return Image.merge("RGB", bands)
    with Image.open(SAMPLES / f"{name.replace(' ', '-')}.png") as sample:
        return sample.convert("RGB")


@functools.cache
def scene(name: str, size: tuple[int, int]) -> Image.Image:
    """Return a scene of `size`, "RGB"; not to be painted on."""
    return _large(name).resize(size, Image.Resampling.LANCZOS)


def moved(
    picture: Image.Image,
    shift: tuple[float, float] = (0, 0),
    stretch: tuple[float, float] = (1, 1),
) -> Image.Image:
    """Return the picture stretched from its upper left corner, then shifted by so many pixels."""
    (across, down), (wide, high) = shift, stretch
    terms = (1 / wide, 0, -across / wide, 0, 1 / high, -down / high)
    grey = (110, 110, 110)
    return picture.transform(
        picture.size, Image.Transform.AFFINE, terms, Image.Resampling.BICUBIC, fillcolor=grey
    )
