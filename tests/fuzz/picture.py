"""The picture gate: any bytes are a picture that passes again, or a refusal."""

from __future__ import annotations

import struct
import zlib
from contextlib import suppress

from PIL import Image

from server.domain import MaskConvention, OutputFormat, Picture
from server.imaging.finish import finish
from server.imaging.inspect import BadPicture, as_png, read_picture
from server.imaging.masks import read_mask
from tests.pictures import PNG_SIGNATURE, chunk, encoded, gradient, one_frame_webp, with_png_chunks

MAX_LENGTH = 4096
MAX_PIXELS = 65_536
"""Small, so that a try takes a millisecond: what is over it is refused from the header alone."""

_EXIF = (
    b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00"
)
_RGB, _RGBA = gradient(12, 9), gradient(12, 9, "RGBA")
_FRAMES = [gradient(6, 6, phase=phase) for phase in range(2)]
SEEDS = (
    encoded(_RGB, "PNG"),
    encoded(_RGBA, "PNG"),
    encoded(_RGB.quantize(16), "PNG", transparency=3),
    encoded(_RGB.convert("1"), "PNG", transparency=1),
    encoded(_RGB.convert("L"), "PNG", bits=4, transparency=3),
    encoded(Image.new("I;16", (12, 9), 40_000), "PNG"),
    with_png_chunks(encoded(_RGB, "PNG"), chunk(b"eXIf", _EXIF[6:]) + chunk(b"tRNS", bytes(6))),
    encoded(_FRAMES[0], "PNG", save_all=True, append_images=_FRAMES[1:]),
    encoded(_RGB, "JPEG"),
    encoded(_RGB, "JPEG", progressive=True, exif=_EXIF),
    encoded(gradient(12, 9, "CMYK"), "JPEG"),
    encoded(_RGB.convert("L"), "JPEG", restart_marker_blocks=1),
    encoded(_RGB, "MPO", save_all=True, append_images=[_RGB]),
    encoded(_RGBA, "WEBP", quality=60, exif=_EXIF),
    encoded(_RGBA, "WEBP", lossless=True),
    encoded(_RGB, "WEBP", quality=60),
    encoded(_FRAMES[0], "WEBP", save_all=True, append_images=_FRAMES[1:]),
    one_frame_webp(gradient(6, 6)),
)
WORDS = (
    *(PNG_SIGNATURE, b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"eXIf", b"acTL", b"fcTL"),
    *(b"fdAT", b"iCCP", b"tEXt", b"zTXt", b"iTXt", b"\xff\xd8\xff", b"\xff\xd9", b"\xff\xda"),
    *(b"\xff\xc0", b"\xff\xc1", b"\xff\xc2", b"\xff\xc4", b"\xff\xc9", b"\xff\xdb", b"\xff\xdd"),
    *(b"\xff\xe0\x00\x10JFIF\x00", b"\xff\xe1", b"\xff\xe2MPF\x00", b"\xff\xee\x00\x0eAdobe"),
    *(b"\xff\xfe", b"Exif\x00\x00", b"II*\x00", b"MM\x00*", b"\x12\x01\x03\x00", b"RIFF", b"WEBP"),
    *(b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"EXIF", b"XMP ", b"\x9d\x01\x2a"),
)


def check(data: bytes) -> None:
    """Pass `data` as image, as mask and as an upstream's picture; raises what must not happen."""
    with suppress(BadPicture):
        read_mask(data, MaskConvention.LUMINANCE, 12, 9, max_pixels=MAX_PIXELS)
    try:
        picture = read_picture(data, max_pixels=MAX_PIXELS)
    except BadPicture:
        picture = None
    delivered = _finished(data)
    if picture is None:
        if delivered is not None:
            raise AssertionError("refused as an input, taken as a result")
        return
    again = read_picture(picture.data, max_pixels=MAX_PIXELS)
    if again != picture:
        raise AssertionError("a picture that passed is changed by the gate")
    png = as_png(picture)
    if (png.width, png.height) != (picture.width, picture.height):
        raise AssertionError("a picture changed its size on its way to PNG")
    if delivered is None or (delivered.width, delivered.height) != (picture.width, picture.height):
        raise AssertionError("taken as an input, refused or of another size as a result")


def _finished(data: bytes) -> Picture | None:
    try:
        return finish(
            data,
            output_format=OutputFormat.PNG,
            compression=None,
            size=None,
            original=None,
            plane=None,
            exact=True,
            max_pixels=MAX_PIXELS,
        ).picture
    except BadPicture:
        return None


def mend(data: bytes) -> bytes:
    """Return a mutated PNG with right checksums: else nearly all would end at the first one."""
    if not data.startswith(PNG_SIGNATURE):
        return data
    mended, position = bytearray(data), 8
    while position + 12 <= len(mended):
        (length,) = struct.unpack_from(">I", mended, position)
        end = position + 8 + length
        if end + 4 > len(mended):
            break
        struct.pack_into(">I", mended, end, zlib.crc32(mended[position + 4 : end]))
        position = end + 4
    return bytes(mended)
