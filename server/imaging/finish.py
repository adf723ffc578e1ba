"""From an upstream's file to the picture that was asked for and promised (contract, section 4)."""

from __future__ import annotations

from dataclasses import dataclass

from server.domain import OutputFormat, Picture
from server.imaging.coverage import CoveragePlane
from server.imaging.decode import DEFAULT_MAX_PIXELS, as_it_is, decode, measure
from server.imaging.encode import encode, is_transparent, on_white
from server.imaging.paste_back import fits, paste_back, resized
from server.imaging.soundness import prove
from server.sizes import Size


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
    small_enough = compressed or compression is None or output_format is OutputFormat.PNG
    is_wanted = as_it_is(file) and file.mime_type == output_format.mime_type and small_enough
    if is_wanted and file.opaque and plane is None and size in {None, (file.width, file.height)}:
        prove(file)
        picture = Picture(file.mime_type, file.data, file.width, file.height)
        return Finished(picture, transparent=False, drift=None, unaligned=False, size_kept=True)
    came = decode(file)
    model = on_white(came) if opaque and is_transparent(came) else came
    pasted, changed = None, None
    if plane is not None and original is not None:
        pasted, changed = paste_back(
            original, model, plane, size=size, exact=exact, max_pixels=max_pixels
        )
    final = pasted or model
    if pasted is None and size and fits(model.size, size, max_pixels):
        final = resized(model, size)
    if is_wanted and pasted is None and final is came:
        picture = Picture(file.mime_type, file.data, file.width, file.height)
    else:
        picture = encode(final, output_format, compression)
    return Finished(
        picture=picture,
        transparent=output_format is not OutputFormat.JPEG and is_transparent(final),
        drift=changed,
        unaligned=exact and changed is not None and pasted is None,
        size_kept=size in {None, final.size},
    )
