"""PNG without metadata: only the chunks that make the pixels. Source: PNG, third edition."""

from __future__ import annotations

import struct
import zlib

from server.imaging.bad_picture import BadPicture
from server.imaging.colour import inflated
from server.imaging.orientation import UPRIGHT, orientation_of
from server.imaging.sniff import PNG_SIGNATURE
from server.imaging.stripped import MAX_CHUNKS, Stripped

_GREY, _COLOUR, _PALETTE = 0, 2, 3
_ALWAYS_KEPT = {b"IHDR", b"IDAT", b"IEND"}
# By colour type: elsewhere a palette is a mere suggestion, and transparency is in the pixels.
_KEPT_FOR = {b"PLTE": {_PALETTE}, b"tRNS": {_GREY, _COLOUR, _PALETTE}}


def strip_png(data: bytes) -> Stripped:
    """Return the PNG in `data` with IHDR, PLTE, tRNS, IDAT and IEND alone, cut after IEND.

    Raises BadPicture where the chain of chunks or a kept chunk's checksum is broken.
    """
    view = memoryview(data)
    if data[12:16] != b"IHDR" or data[8:12] != b"\x00\x00\x00\x0d" or len(data) < 33:
        raise BadPicture("is a broken PNG: its header is not whole")
    width, height, bits, colour = struct.unpack_from(">IIBB", data, 16)
    parts: list[bytes | memoryview] = [PNG_SIGNATURE]
    orientation, frames, plain, profile = UPRIGHT, 1, True, b""
    position = len(PNG_SIGNATURE)
    for _ in range(MAX_CHUNKS):
        if position + 12 > len(data):
            raise BadPicture("is a PNG that is cut short")
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if end > len(data):
            raise BadPicture("is a PNG that is cut short")
        if kind in _ALWAYS_KEPT or colour in _KEPT_FOR.get(kind, ()):
            (checksum,) = struct.unpack_from(">I", data, end - 4)
            if zlib.crc32(view[position + 4 : end - 4]) != checksum:
                raise BadPicture("is a broken PNG: a checksum does not match")
            parts.append(view[position:end])
            plain = plain and kind != b"tRNS"
        elif kind == b"eXIf":
            orientation = orientation_of(data[position + 8 : end - 4])
        elif kind == b"iCCP" and not profile:
            profile = _profile(data[position + 8 : end - 4])
        elif kind == b"acTL" and length >= 4:
            frames = max(frames, struct.unpack_from(">I", data, position + 8)[0])
        position = end
        if kind == b"IEND":
            break
    else:
        raise BadPicture(f"is a PNG of more than {MAX_CHUNKS} chunks")
    return Stripped(
        mime_type="image/png",
        width=width,
        height=height,
        parts=tuple(parts),
        orientation=orientation,
        bits=bits,
        frames=frames,
        portable=plain and bits == 8 and colour != _PALETTE,
        profile=profile,
        opaque=plain and colour in {_GREY, _COLOUR},
    )


def _profile(body: bytes) -> bytes:
    """Return the profile after its name, a zero and the method, which can only be 0."""
    name, _, rest = body.partition(b"\x00")
    return inflated(rest[1:]) if name and rest[:1] == b"\x00" else b""
