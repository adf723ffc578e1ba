"""Masks: any of three conventions in, one plane inside, what each upstream wants out.

The polarities (contract, section 4): inside 1 = edit; OpenAI's own masks have alpha 0 = edit; a
mask as a picture of its own has white = edit.
"""

from __future__ import annotations

from PIL import Image

from server.domain import MaskConvention, OutputFormat, Picture
from server.imaging.bad_picture import BadPicture
from server.imaging.coverage import CoveragePlane
from server.imaging.decode import DEFAULT_MAX_PIXELS, decode, measure
from server.imaging.encode import encode


def read_mask(
    data: bytes,
    convention: MaskConvention,
    width: int,
    height: int,
    *,
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> CoveragePlane:
    """Return what the mask in `data` selects of a picture of `width` x `height` pixels, upright.

    Everything between is cut at the middle: alpha or luminance of 128 and more counts as 255.
    Raises BadPicture for a file that is no usable picture, has another size, lacks the alpha
    channel that its convention needs, or selects nothing.
    """
    file = measure(data, max_pixels)
    if file.upright_size != (width, height):
        found = "x".join(str(side) for side in file.upright_size)
        raise BadPicture(
            f"is {found} pixels and the image {width}x{height}: both must be of the same size"
        )
    image = decode(file)
    has_alpha = image.mode == "RGBA"
    plane = _read(image, convention)
    if plane.bounding_box is None:
        raise BadPicture(f"selects nothing: {_why_empty(convention, has_alpha=has_alpha)}")
    return plane


def _read(image: Image.Image, convention: MaskConvention) -> CoveragePlane:
    has_alpha = image.mode == "RGBA"
    if convention is MaskConvention.TRANSPARENT:
        if not has_alpha:
            raise BadPicture(
                "has no alpha channel, and mask_convention=transparent edits where it is "
                "transparent: send a PNG or WebP with transparency, or use "
                "mask_convention=luminance (white is edited)"
            )
        return CoveragePlane.from_levels(image.getchannel("A")).inverted()
    if convention is MaskConvention.OPAQUE and has_alpha:
        return CoveragePlane.from_levels(image.getchannel("A"))
    return CoveragePlane.from_levels(image.convert("L"))


def _why_empty(convention: MaskConvention, *, has_alpha: bool) -> str:
    if convention is MaskConvention.TRANSPARENT:
        return (
            "mask_convention=transparent edits where the mask is transparent, and it is opaque "
            "everywhere; mask_convention=opaque, the default, reads it the other way round"
        )
    if convention is MaskConvention.OPAQUE and has_alpha:
        return (
            "opaque pixels are edited, and the mask is transparent everywhere; "
            "mask_convention=transparent reads it the other way round"
        )
    if convention is MaskConvention.OPAQUE:
        return (
            "a mask without an alpha channel is edited where it is white, and it is dark all over"
        )
    hint = "; mask_convention=opaque reads its alpha channel instead" if has_alpha else ""
    return f"mask_convention=luminance edits where the mask is white, and it is dark all over{hint}"


def native_mask(plane: CoveragePlane) -> Picture:
    """Return OpenAI's own form: an RGBA PNG, alpha 0 where the edit goes and 255 elsewhere.

    All colours are 0. Source: OpenAI, "Create image edit", `mask`.
    """
    mask = Image.new("RGBA", (plane.width, plane.height))
    mask.putalpha(plane.protected().convert("L"))
    return encode(mask, OutputFormat.PNG)


def second_image_mask(plane: CoveragePlane) -> Picture:
    """Return a grey PNG of 0 and 255 alone, white where the edit goes."""
    return encode(plane.edited().convert("L"), OutputFormat.PNG)
