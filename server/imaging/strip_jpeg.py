"""JPEG without metadata: only the segments that make the pixels. Source: ITU-T T.81, annex B."""

from __future__ import annotations

import re
import struct

from server.imaging.bad_picture import BadPicture
from server.imaging.colour import MAX_BYTES
from server.imaging.orientation import UPRIGHT, orientation_of
from server.imaging.stripped import MAX_CHUNKS, Stripped

# A marker, but for stuffed zeros, fill bytes and restarts, which belong to the data around them.
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")

_SOI, _EOI, _SOS = 0xD8, 0xD9, 0xDA
_TABLES = {0xC4, 0xDB, 0xDD, 0xCC}  # DHT, DQT, DRI, DAC
_DCT_FRAMES = {0xC0, 0xC1, 0xC2}
_ARITHMETIC_FRAMES = {0xC9, 0xCA}  # our decoder reads them, many others do not
_OTHER_FRAMES = {0xC3, 0xC5, 0xC6, 0xC7, 0xCB, 0xCD, 0xCE, 0xCF, 0xDE}
_NOTED = _APP0, _APP1, _APP2, _APP14 = 0xE0, 0xE1, 0xE2, 0xEE

# How a decoder learns what the components are (libjpeg's default_decompress_parms), so the fact
# that these segments are there is kept, but nothing else in them.
_JFIF = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
_ADOBE = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00"

# Encoders write some ten; each further one costs the decoder another pass over the whole picture.
_MAX_SCANS = 64


def strip_jpeg(data: bytes) -> Stripped:
    """Return the first JPEG in `data` without APPn (but a minimal JFIF and Adobe) and COM.

    What follows its end marker is cut off: further pictures (MPO), thumbnails, anything hidden.
    Raises BadPicture where the chain of segments is broken or the kind of JPEG is an odd one.
    """
    view = memoryview(data)
    tables: list[memoryview] = []
    notes: list[tuple[int, memoryview]] = []
    frame: tuple[int, int, int, int] | None = None
    portable = True
    scans = 0
    position = 2
    for _ in range(MAX_CHUNKS):
        marker, start = _next_marker(data, position)
        if marker == _EOI:
            break
        end = _segment_end(data, start)
        body = view[start + 4 : end]
        if marker in _TABLES:
            tables.append(view[start:end])
        elif marker in _DCT_FRAMES | _ARITHMETIC_FRAMES:
            if frame is not None or len(body) < 6:
                raise BadPicture("is a broken JPEG: its frame header is not whole")
            frame = struct.unpack_from(">BHHB", body)
            portable = marker in _DCT_FRAMES
            tables.append(view[start:end])
        elif marker == _SOS:
            scans += 1
            if scans > _MAX_SCANS:
                raise BadPicture(f"is a JPEG of more than {_MAX_SCANS} scans")
            end = _next_marker(data, end)[1]
            tables.append(view[start:end])
        elif marker in _NOTED:
            notes.append((marker, body))
        elif marker in _OTHER_FRAMES:
            raise BadPicture("is a lossless or hierarchical JPEG, which few programs can read")
        position = end
    else:
        raise BadPicture(f"is a JPEG of more than {MAX_CHUNKS} segments")
    if frame is None or not scans:
        raise BadPicture("is a broken JPEG: it holds no picture")
    bits, height, width, components = frame
    return Stripped(
        mime_type="image/jpeg",
        width=width,
        height=height,
        parts=(b"\xff\xd8", *_colour_hints(notes), *tables, b"\xff\xd9"),
        orientation=_orientation(notes),
        bits=bits,
        portable=portable and components in {1, 3},
        profile=_profile(notes),
        opaque=True,
    )


def _colour_hints(notes: list[tuple[int, memoryview]]) -> tuple[bytes, bytes]:
    """Return a JFIF and an Adobe segment for those that are there, else nothing for each."""
    jfif, adobe = b"", b""
    for marker, body in notes:
        if marker == _APP0 and len(body) >= 14 and bytes(body[:5]) == b"JFIF\x00":
            jfif = _JFIF
        elif marker == _APP14 and len(body) >= 12 and bytes(body[:5]) == b"Adobe":
            adobe = _ADOBE + bytes(body[11:12])
    return jfif, adobe


def _orientation(notes: list[tuple[int, memoryview]]) -> int:
    for marker, body in notes:
        if marker == _APP1 and bytes(body[:6]) == b"Exif\x00\x00":
            return orientation_of(bytes(body))
    return UPRIGHT


def _profile(notes: list[tuple[int, memoryview]]) -> bytes:
    """Return the profile put together from its numbered pieces (ICC.1:2022, annex B.4).

    Empty where pieces are missing or too many.
    """
    pieces: dict[int, memoryview] = {}
    for marker, body in notes:
        if marker == _APP2 and len(body) > 14 and bytes(body[:12]) == b"ICC_PROFILE\x00":
            pieces.setdefault(body[12], body[14:])
    if not pieces or sorted(pieces) != list(range(1, len(pieces) + 1)):
        return b""
    if sum(map(len, pieces.values())) > MAX_BYTES:
        return b""
    return b"".join(pieces[number] for number in sorted(pieces))


def _next_marker(data: bytes, position: int) -> tuple[int, int]:
    """Return the next marker's code and where its 0xFF is."""
    found = _MARKER.search(data, position)
    if found is None:
        raise BadPicture("is a JPEG that is cut short")
    code = data[found.start() + 1]
    if code < 0xC0 or code == _SOI:
        raise BadPicture("is a broken JPEG: its segments do not fit together")
    return code, found.start()


def _segment_end(data: bytes, start: int) -> int:
    """Return where the segment with the marker at `start` ends."""
    length = int.from_bytes(data[start + 2 : start + 4], "big")
    end = start + 2 + length
    if length < 2 or end > len(data):
        raise BadPicture("is a JPEG that is cut short")
    return end
