"""WebP without metadata: only the chunks that make the pixels. Source: RFC 9649."""

from __future__ import annotations

import struct

from server.imaging.bad_picture import BadPicture
from server.imaging.orientation import UPRIGHT, orientation_of
from server.imaging.stripped import MAX_CHUNKS, Stripped

_HAS_ALPHA = 0x10
_BROKEN = "is a broken WebP: its header is not whole"


def strip_webp(data: bytes) -> Stripped:
    """Return the WebP in `data` with VP8 or VP8L, ALPH and what VP8X these need, cut at its end.

    An animation of one frame stays as it is, but not `portable`. Raises BadPicture where the
    chain of chunks is broken.
    """
    chunks, frames = _first_chunks(data)
    canvas = None
    orientation = UPRIGHT
    if extended := chunks.get(b"VP8X"):
        if len(extended) != 18:
            raise BadPicture(_BROKEN)
        canvas = (_u24(extended, 12) + 1, _u24(extended, 15) + 1)
    if exif := chunks.get(b"EXIF"):
        orientation = orientation_of(bytes(exif[8:]))
    parts: tuple[bytes | memoryview, ...] = (data,)
    if frames and canvas:
        size = canvas
    else:
        size, parts = _still(chunks)
        if canvas not in {None, size}:
            raise BadPicture("is a broken WebP: its canvas and its picture differ in size")
    return Stripped(
        mime_type="image/webp",
        width=size[0],
        height=size[1],
        parts=parts,
        orientation=orientation,
        frames=max(frames, 1),
        portable=not frames,
        profile=bytes(chunks.get(b"ICCP", b"")[8:]),
    )


def _first_chunks(data: bytes) -> tuple[dict[bytes, memoryview], int]:
    """Return the first chunk of each kind, with its header, and the number of animation frames."""
    view = memoryview(data)
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        raise BadPicture("is a WebP that is cut short")
    chunks: dict[bytes, memoryview] = {}
    frames = 0
    position = 12
    for _ in range(MAX_CHUNKS):
        if position + 8 > end:
            return chunks, frames
        kind, length = struct.unpack_from("<4sI", data, position)
        after = position + 8 + length
        if after > end:
            raise BadPicture("is a WebP that is cut short")
        chunks.setdefault(kind, view[position:after])
        frames += kind == b"ANMF"
        position = after + length % 2
    raise BadPicture(f"is a WebP of more than {MAX_CHUNKS} chunks")


def _still(
    chunks: dict[bytes, memoryview],
) -> tuple[tuple[int, int], tuple[bytes | memoryview, ...]]:
    """Return the size in the picture's own bits, and the file's parts."""
    lossy, lossless, alpha = chunks.get(b"VP8 "), chunks.get(b"VP8L"), chunks.get(b"ALPH")
    if lossy is not None:
        if len(lossy) < 18 or bytes(lossy[11:14]) != b"\x9d\x01\x2a":
            raise BadPicture(_BROKEN)
        width, height = struct.unpack_from("<HH", lossy, 14)
        size = (width & 0x3FFF, height & 0x3FFF)
        body = [alpha, lossy] if alpha is not None else [lossy]
    elif lossless is not None:
        if len(lossless) < 13 or lossless[8] != 0x2F:
            raise BadPicture(_BROKEN)
        (packed,) = struct.unpack_from("<I", lossless, 9)
        size = ((packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1)
        body = [lossless]
    else:
        raise BadPicture("is a broken WebP: it holds no picture")
    parts: list[bytes | memoryview] = []
    if len(body) == 2:
        sides = b"".join(max(side - 1, 0).to_bytes(3, "little") for side in size)
        parts.append(struct.pack("<4sIB3x", b"VP8X", 10, _HAS_ALPHA) + sides)
    for chunk in body:
        parts += [chunk, b"\x00" * (len(chunk) % 2)]
    length = 4 + sum(len(part) for part in parts)
    return size, (struct.pack("<4sI4s", b"RIFF", length, b"WEBP"), *parts)


def _u24(chunk: memoryview, offset: int) -> int:
    return int.from_bytes(chunk[offset : offset + 3], "little")
