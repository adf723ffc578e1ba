"""Puts the input's own pixels back over a model's picture, where a mask protects them."""

from __future__ import annotations

from PIL import Image, ImageChops

from server.domain import Picture
from server.imaging.coverage import CoveragePlane
from server.imaging.decode import decode, in_mode, measure
from server.imaging.drift import drift
from server.imaging.framing import find_placement
from server.imaging.placement import Placement
from server.imaging.seam import put_back
from server.sizes import Size, same_shape


def paste_back(
    original: Picture,
    model: Image.Image,
    plane: CoveragePlane,
    *,
    size: Size | None,
    exact: bool,
    max_pixels: int,
) -> tuple[Image.Image | None, float]:
    """Return `model` with the pixels of `original` that `plane` protects, and their change, 0 to 1.

    The canvas is the original's, or `size` where both can have it. None instead of a picture: not
    `exact`, or the model changed the framing, and nothing was put back. Where it surely moved the
    scene a little, that is undone before. May paint on `model`.
    """
    source = decode(measure(original.data, original.width * original.height))
    # A size that one of the two cannot have is no reason to put nothing back.
    asked = size if size and _both_fit(source, model, size, max_pixels) else None
    canvas = asked or source.size
    placement = None
    if _both_fit(source, model, canvas, max_pixels):
        placement = _placement(source, model, plane) if exact else Placement()
    if placement is None:
        canvas = source.size
    mode = "RGBA" if "RGBA" in {source.mode, model.mode} else "RGB"
    wanted, seen = (in_mode(resized(image, canvas), mode) for image in (source, model))
    keep = plane.protected(canvas)
    changed = drift(wanted, seen, keep)
    if placement is None or not exact:
        return None, changed
    edited = ImageChops.invert(keep).getbbox()
    if edited and placement != Placement():
        placement.undo(in_mode(model, mode), seen, edited)
    put_back(wanted, seen, keep)
    return seen, changed


def fits(found: Size, wanted: Size, max_pixels: int) -> bool:
    """Return whether a picture can be stretched to `wanted` without being distorted."""
    return wanted[0] * wanted[1] <= max_pixels and same_shape(found, wanted)


def resized(image: Image.Image, size: Size) -> Image.Image:
    """Return `image` at `size`: itself, not a copy, where it has it."""
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)


def _both_fit(source: Image.Image, model: Image.Image, canvas: Size, max_pixels: int) -> bool:
    return all(fits(image.size, canvas, max_pixels) for image in (source, model))


def _placement(source: Image.Image, model: Image.Image, plane: CoveragePlane) -> Placement | None:
    if plane.protects_nothing:
        return Placement()
    return find_placement(source, model, plane.protected().convert("L"))
