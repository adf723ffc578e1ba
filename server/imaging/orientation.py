"""Which way up a picture is: the one EXIF tag that changes pixels.

Read by hand: the rest of a hostile EXIF block is nothing to parse. Source: Exif 2.32, section 4.6.
"""

from __future__ import annotations

import struct

from PIL import Image

UPRIGHT = 1
_ORIENTATION_TAG = 0x0112
_SHORT = 3
_BYTE_ORDERS = {b"II*\x00": "<", b"MM\x00*": ">"}

# What undoes each orientation.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def orientation_of(exif: bytes) -> int:
    """Return the orientation, 1 to 8, that an EXIF block names; 1 where it names none."""
    tiff = exif.removeprefix(b"Exif\x00\x00")
    order = _BYTE_ORDERS.get(tiff[:4])
    if order is None:
        return UPRIGHT
    try:
        (directory,) = struct.unpack_from(f"{order}I", tiff, 4)
        (entries,) = struct.unpack_from(f"{order}H", tiff, directory)
        for index in range(entries):
            tag, kind, _, value = struct.unpack_from(
                f"{order}HHIH", tiff, directory + 2 + 12 * index
            )
            if tag == _ORIENTATION_TAG:
                return value if kind == _SHORT and value in _TURNS else UPRIGHT
    except struct.error:  # the block is broken; the picture need not be
        return UPRIGHT
    return UPRIGHT


def swaps_sides(orientation: int) -> bool:
    """Return whether width and height change places when the picture is put upright."""
    return orientation >= 5


def put_upright(image: Image.Image, orientation: int) -> Image.Image:
    """Return `image` turned and mirrored so that `orientation` becomes 1."""
    turn = _TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)
