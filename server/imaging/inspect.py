"""The gate that every picture passes, before money is spent and after a picture was delivered."""

from __future__ import annotations

from server.domain import OutputFormat, Picture
from server.imaging.bad_picture import BadPicture
from server.imaging.decode import DEFAULT_MAX_PIXELS, as_it_is, decode, measure
from server.imaging.encode import encode
from server.imaging.soundness import prove

__all__ = ["BadPicture", "as_png", "read_picture"]


def read_picture(
    data: bytes, *, max_pixels: int = DEFAULT_MAX_PIXELS, pixels: bool = True
) -> Picture:
    """Return the PNG, JPEG or WebP in `data` upright, in 8-bit sRGB or grey, without metadata.

    An ordinary file keeps its very own picture data; one that is turned, in other colours than
    sRGB or of an unusual kind (palette, 16 bits, CMYK, a transparent colour), becomes an RGB or
    RGBA PNG. Either way it has
    been decoded whole, unless the first kind's `pixels` are not needed: then it is proven sound in
    a cheaper way. Raises BadPicture, before decoding where there are over `max_pixels`.
    """
    file = measure(data, max_pixels)
    if as_it_is(file) and not pixels:
        prove(file)
        return Picture(file.mime_type, file.data, file.width, file.height)
    image = decode(file)
    if as_it_is(file):
        return Picture(file.mime_type, file.data, file.width, file.height)
    return encode(image, OutputFormat.PNG)


def as_png(picture: Picture) -> Picture:
    """Return a checked picture as PNG, itself where it is one."""
    if picture.mime_type == OutputFormat.PNG.mime_type:
        return picture
    file = measure(picture.data, picture.width * picture.height)
    return encode(decode(file), OutputFormat.PNG)
