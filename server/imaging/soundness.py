"""Whether a file's picture data are whole, found out without making pixels where nobody needs them.

To decode a PNG of a megapixel costs 15 ms of CPU, more than all else that is done for an edit.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from PIL.JpegImagePlugin import JpegImageFile

from server.imaging.bad_picture import BadPicture
from server.imaging.decode import decode
from server.imaging.stripped import Stripped

_LOOKED_AT = 262_144
"""Bytes of pixels that are unpacked: all of a small picture, the beginning of a large one."""
_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}  # of a colour type
_FILTERS = 5


def prove(file: Stripped) -> None:
    """Raise BadPicture where the picture data of an ordinary `file` are broken.

    A PNG is taken at its word where its checksums hold, which `strip_png` has seen to, and where it
    begins as its header says: what its writer wrote arrived. Of a JPEG every coefficient is read,
    and a small picture made of them. Any other is decoded.
    """
    if file.mime_type == "image/png" and _begins_well(file):
        return
    if file.mime_type != "image/jpeg":
        decode(file)
        return
    try:
        _skim(file)
    except Exception as error:
        raise BadPicture("is a broken JPEG: its picture data cannot be decoded") from error


def _begins_well(file: Stripped) -> bool:
    """Tell whether a PNG's data unpack to rows of pixels, as far as they are looked at."""
    bits, colour, _, _, interlaced = struct.unpack_from(">5B", file.data[:29], 24)
    if bits != 8 or interlaced or colour not in _CHANNELS:
        return False
    row = 1 + file.width * _CHANNELS[colour]
    whole = row * file.height
    looked_at = min(whole, _LOOKED_AT)
    unpacker, rows = zlib.decompressobj(), bytearray()
    try:
        for data in _image_data(file):
            rows += unpacker.decompress(data, looked_at + 1 - len(rows))
            if len(rows) > looked_at or unpacker.eof:
                break
    except zlib.error:
        return False
    ends = len(rows) == whole and unpacker.eof
    return (ends or len(rows) > looked_at < whole) and max(rows[::row]) < _FILTERS


def _image_data(file: Stripped) -> Iterator[memoryview]:
    data = memoryview(file.data)
    position = 8
    while position < len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        if kind == b"IDAT":
            yield data[position + 8 : position + 8 + length]
        position += 12 + length


def _skim(file: Stripped) -> None:
    """Read all coefficients of a JPEG; raises just anything where they are broken."""
    with JpegImageFile(file.reader()) as image:
        if image.size != (file.width, file.height):
            raise ValueError("the decoder sees another size than was measured")
        image.draft(None, (1, 1))  # an eighth of the size, which is the least
        image.load()
