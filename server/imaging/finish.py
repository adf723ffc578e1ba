"""From an upstream's file to the picture that was asked for and promised (contract, section 4)."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from server.domain import OutputFormat, Picture
from server.imaging.coverage import CoveragePlane
from server.imaging.decode import DEFAULT_MAX_PIXELS, as_it_is, decode, measure
from server.imaging.drift import drift
from server.imaging.encode import encode, on_white
from server.imaging.framing import find_placement
from server.imaging.placement import Placement
from server.imaging.seam import put_back
from server.sizes import Size, same_shape


@dataclass(frozen=True, slots=True)
class Finished:
    """A picture to return, and what is to be said about it.

    `transparent`: some pixel of it is not opaque. `drift`: the mean absolute change, 0 to 1, that
    the model itself made outside the mask; None without mask. `unaligned`: nothing was pasted
    since the framing changed. `size_kept`: False when an asked size could not be reached.
    """

    picture: Picture
    transparent: bool
    drift: float | None
    unaligned: bool
    size_kept: bool


def finish(
    delivered: bytes,
    *,
    output_format: OutputFormat,
    compression: int | None,
    size: Size | None,
    original: Picture | None,
    plane: CoveragePlane | None,
    exact: bool,
    opaque: bool = False,
    compressed: bool = False,
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> Finished:
    """Return the upstream's file `delivered` checked, sized, pasted back and of `output_format`.

    `size` is one that was asked for explicitly, in pixels; it is reached where the delivered
    picture has its aspect ratio within 1 %. `original` is the (first) input and `plane` its mask,
    given together or not at all. With `exact`, the input's own pixels are put back outside the
    mask, and meet the model's in a seam inside it; where the model surely moved the scene a
    little, its picture is moved back before, and where it changed the framing nothing is pasted.
    `opaque`: what the model left transparent becomes white. `compressed`: a delivered file of
    `output_format` has the `compression` already. A file that is already what is wanted keeps its
    very own picture data. Raises BadPicture where `delivered` is no usable picture.
    """
    file = measure(delivered, max_pixels)
    came = decode(file)
    model = on_white(came) if opaque and _is_transparent(came) else came
    final = model
    if size and _fits(model.size, size, max_pixels):
        final = _resized(model, size)
    changed, unaligned = None, False
    if plane is not None and original is not None:
        source = decode(measure(original.data, original.width * original.height))
        both = (model.size, source.size)
        # A size that one of the two cannot have is no reason to put nothing back.
        asked = size is not None and all(_fits(found, size, max_pixels) for found in both)
        canvas = size if size is not None and asked else source.size
        placement = None
        if all(_fits(found, canvas, max_pixels) for found in both):
            placement = _placement(source, model, plane) if exact else Placement()
        common = source.size if placement is None else canvas
        source, seen = _alike(_resized(source, common), _resized(model, common))
        changed = drift(source, seen, plane.levels(edit=0, keep=255, size=common))
        unaligned = exact and placement is None
        if exact and placement is not None:
            final = seen
            if placement != Placement():
                same_mode = model.mode == seen.mode
                placement.undo(model if same_mode else model.convert(seen.mode), seen)
            put_back(source, final, plane)
    return Finished(
        picture=(
            Picture(file.mime_type, file.data, file.width, file.height)
            if final is came
            and as_it_is(file)
            and file.mime_type == output_format.mime_type
            and (compressed or compression is None or output_format is OutputFormat.PNG)
            else encode(final, output_format, compression)
        ),
        transparent=output_format is not OutputFormat.JPEG and _is_transparent(final),
        drift=changed,
        unaligned=unaligned,
        size_kept=size in {None, final.size},
    )


def _placement(source: Image.Image, model: Image.Image, plane: CoveragePlane) -> Placement | None:
    if plane.protects_nothing:
        return Placement()
    return find_placement(on_white(source), on_white(model), plane.levels(edit=0, keep=255))


def _fits(found: Size, wanted: Size, max_pixels: int) -> bool:
    """Return whether a picture can be stretched to `wanted` without being distorted."""
    return wanted[0] * wanted[1] <= max_pixels and same_shape(found, wanted)


def _resized(image: Image.Image, size: Size) -> Image.Image:
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)


def _alike(one: Image.Image, other: Image.Image) -> tuple[Image.Image, Image.Image]:
    """Return both as RGBA if either is; the second is a copy that may be painted on."""
    mode = "RGBA" if "RGBA" in {one.mode, other.mode} else "RGB"
    return one.convert(mode), other.convert(mode)


def _is_transparent(image: Image.Image) -> bool:
    if image.mode != "RGBA":
        return False
    return image.getchannel("A").getextrema() != (255, 255)
