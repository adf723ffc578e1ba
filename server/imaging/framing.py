"""Decides whether a model kept the frame, and how to bring its picture back where it did not."""

from __future__ import annotations

from PIL import Image

from server.imaging.encode import on_white
from server.imaging.placement import Placement
from server.imaging.reframing import reframed
from server.imaging.registration import ALIKE, register
from server.imaging.tiles import Tiles
from server.sizes import Size

_SMALLEST = 128  # pixels of the longer side; below it there is too little to tell by
_ONE_PLACE = 0.75  # pixels by which two pictures may be apart without anybody seeing it
_MOST_SHIFT = 0.045  # of the longer side, in the middle
_MOST_STRETCH = 0.025
_MOST_DOUBT = 0.25  # pixels, of pictures of up to _LONGER
_LOOKS_MOVED = 8  # pixels by which a picture seems moved that was wholly redrawn in its place
_FINEST = 16  # pixels of a tile: of larger pictures, more tell next to nothing more
_LONGER = 1024  # pixels; those of larger pictures are counted as if these were reduced to it


def find_placement(source: Image.Image, model: Image.Image, keep: Image.Image) -> Placement | None:
    """Return where the model put the picture; None where it surely changed the frame.

    `source` and `model` fill the same canvas, each at its own size, with aspect ratios that agree;
    `keep` (grey) is 255 where the source is protected. Only what is certain counts: a picture that
    shows nothing to go by, or nothing of the source, is taken to be in its place.
    """
    as_it_is = Placement()
    if max(source.size) < _SMALLEST:
        return as_it_is
    tiles = Tiles(keep, _FINEST)
    given, seen = (_grey(image, tiles.size(tiles.finest)) for image in (source, model))
    size = _reduced(source.size)
    found = register(given, seen, tiles, one_place=_ONE_PLACE / max(size))
    if found is None or found.likeness < ALIKE:
        return None if reframed(given, seen, keep) else as_it_is
    placement = found.placement
    unsure = _ONE_PLACE + _LOOKS_MOVED * (1 - found.likeness)
    if max(placement.offsets(size)) < unsure or found.doubt * max(size) > _MOST_DOUBT:
        return as_it_is
    stretches = placement.stretch_x, placement.stretch_y
    small = max(map(abs, placement.middle(size))) <= _MOST_SHIFT * max(size) and all(
        abs(stretch - 1) <= _MOST_STRETCH for stretch in stretches
    )
    return placement if small else None


def _grey(image: Image.Image, size: Size) -> Image.Image:
    small = image.resize(size, Image.Resampling.BILINEAR, reducing_gap=1.0)
    return on_white(small).convert("L")


def _reduced(size: Size) -> Size:
    factor = min(1.0, _LONGER / max(size))
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))
