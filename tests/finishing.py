"""Finishing for tests: everything at its default but what a test is about."""

from __future__ import annotations

from typing import Any

from PIL import Image

from server.domain import OutputFormat, Picture
from server.imaging.coverage import CoveragePlane
from server.imaging.finish import Finished, finish
from server.imaging.inspect import read_picture
from tests.pictures import encoded


def finished(delivered: bytes, **options: Any) -> Finished:
    """Return what `finish` makes of a delivered file: by default a PNG, no mask, no size."""
    defaults: dict[str, Any] = {
        "output_format": OutputFormat.PNG,
        "compression": None,
        "size": None,
        "original": None,
        "plane": None,
        "exact": True,
    }
    return finish(delivered, **{**defaults, **options})


def checked(image: Image.Image, kind: str = "PNG", **options: object) -> Picture:
    """Return `image` as a picture that has passed the gate."""
    return read_picture(encoded(image, kind, **options))


def boxed(width: int, height: int, *box: int) -> CoveragePlane:
    """Return a plane of that size that edits one rectangle."""
    levels = Image.new("L", (width, height))
    levels.paste(255, box)
    return CoveragePlane.from_levels(levels)
