"""Small pictures for tests, made here: every kind of file, whole, odd or hostile."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterable, Sequence

from PIL import Image

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """Return `image` as a file of Pillow's format `kind`."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def decoded(data: bytes, mode: str = "RGBA") -> Image.Image:
    """Return the pixels of a file in `mode`, by Pillow's own opener: the tests' independent eye."""
    with Image.open(io.BytesIO(data)) as image:
        pixels = image.convert(mode)
    pixels.info = {}
    return pixels


def gradient(width: int, height: int, mode: str = "RGB", phase: int = 0) -> Image.Image:
    """Return a picture in which no two neighbours look alike and no turn looks like another."""
    size = len(Image.new(mode, (1, 1)).getbands())
    values = (
        (column * 29 + row * 53 + band * 71 + column * row * 7 + phase * 97) % 256
        for row in range(height)
        for column in range(width)
        for band in range(size)
    )
    return Image.frombytes(mode, (width, height), bytes(values))


def smooth(width: int, height: int) -> Image.Image:
    """Return a soft RGB picture, which a lossy encoder keeps well."""
    grey = Image.linear_gradient("L").resize((width, height))
    round_ = Image.radial_gradient("L").resize((width, height))
    return Image.merge("RGB", (grey, round_, grey.transpose(Image.Transpose.ROTATE_180)))


def chunk(kind: bytes, body: bytes = b"") -> bytes:
    """Return a PNG chunk with its checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def raw_png(
    width: int,
    bits: int,
    colour: int,
    rows: Sequence[bytes],
    *,
    before: Iterable[bytes] = (),
    after: Iterable[bytes] = (),
    tail: bytes = b"",
) -> bytes:
    """Return a PNG of any depth and colour type from packed rows, with any chunks around them."""
    header = struct.pack(">IIBBBBB", width, len(rows), bits, colour, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\x00" + row for row in rows), 9)
    chunks = (chunk(b"IHDR", header), *before, chunk(b"IDAT", pixels), *after, chunk(b"IEND"))
    return PNG_SIGNATURE + b"".join(chunks) + tail


def png_chunks(data: bytes) -> list[bytes]:
    """Return the kinds of a PNG's chunks in order; fails where anything follows the last."""
    kinds, position = [], 8
    while position < len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        kinds.append(kind)
        position += 12 + length
    assert position == len(data)
    return kinds


def with_png_chunks(data: bytes, before: bytes, after: bytes = b"") -> bytes:
    """Return a PNG with chunks put in before its first IDAT and before its IEND."""
    start, end = data.index(b"IDAT") - 4, len(data) - 12
    return data[:start] + before + data[start:end] + after + data[end:]


def with_jpeg_segments(data: bytes, *segments: tuple[int, bytes]) -> bytes:
    """Return a JPEG with segments (marker code, body) put in right after its start."""
    added = (
        b"\xff" + bytes([code]) + struct.pack(">H", len(body) + 2) + body for code, body in segments
    )
    return data[:2] + b"".join(added) + data[2:]


def jpeg_segments(data: bytes) -> list[int]:
    """Return the marker codes of a JPEG up to its first scan."""
    codes, position = [], 2
    while data[position + 1] != 0xDA:
        codes.append(data[position + 1])
        position += 2 + struct.unpack_from(">H", data, position + 2)[0]
    return codes


def webp(*chunks: tuple[bytes, bytes], tail: bytes = b"") -> bytes:
    """Return a WebP file of the given chunks."""
    body = b"WEBP" + b"".join(
        kind + struct.pack("<I", len(data)) + data + b"\x00" * (len(data) % 2)
        for kind, data in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body + tail


def webp_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """Return the chunks of a WebP file; fails where anything follows the last."""
    assert struct.unpack_from("<I", data, 4)[0] + 8 == len(data)
    chunks, position = [], 12
    while position < len(data):
        kind, length = struct.unpack_from("<4sI", data, position)
        chunks.append((kind, data[position + 8 : position + 8 + length]))
        position += 8 + length + length % 2
    return chunks


def extended_webp(data: bytes, *chunks: tuple[bytes, bytes], tail: bytes = b"") -> bytes:
    """Return a simple WebP as an extended one with `chunks` around the picture, flags set."""
    flags = {b"ICCP": 0x20, b"EXIF": 0x08, b"XMP ": 0x04}
    old = [(kind, body) for kind, body in webp_chunks(data) if kind != b"VP8X"]
    width, height = decoded(data).size
    alpha = 0x10 if any(kind in {b"ALPH", b"VP8L"} for kind, _ in old) else 0
    flag = alpha | sum(flags.get(kind, 0) for kind, _ in chunks)
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    head = [(b"VP8X", bytes([flag, 0, 0, 0]) + sides)]
    first = [pair for pair in chunks if pair[0] == b"ICCP"]
    last = [pair for pair in chunks if pair[0] != b"ICCP"]
    return webp(*head, *first, *old, *last, tail=tail)


def one_frame_webp(image: Image.Image, *chunks: tuple[bytes, bytes]) -> bytes:
    """Return an animated WebP of a single frame, with `chunks` (all of them ICCP) before it."""
    (picture,) = webp_chunks(encoded(image, "WEBP", lossless=True, exact=True))
    sides = (image.width - 1).to_bytes(3, "little") + (image.height - 1).to_bytes(3, "little")
    kind, body = picture
    frame = bytes(6) + sides + bytes(4) + kind + struct.pack("<I", len(body)) + body
    flags = bytes([0x12 | (0x20 if chunks else 0), 0, 0, 0])
    head = ((b"VP8X", flags + sides), *chunks, (b"ANIM", bytes(6)))
    return webp(*head, (b"ANMF", frame + bytes(len(body) % 2)))


def exif(orientation: int = 1, note: bytes = b"", order: str = ">") -> bytes:
    """Return a TIFF block with an orientation and `note` as description and as GPS place."""
    head = b"MM\x00*" if order == ">" else b"II*\x00"
    text = note + b"\x00"
    entries, gps_at = 3, 8 + 2 + 3 * 12 + 4
    text_at = gps_at + 2 + 12 + 4
    return (
        head
        + struct.pack(f"{order}IH", 8, entries)
        + struct.pack(f"{order}HHII", 0x010E, 2, len(text), text_at)
        + struct.pack(f"{order}HHIHH", 0x0112, 3, 1, orientation, 0)
        + struct.pack(f"{order}HHII", 0x8825, 4, 1, gps_at)
        + struct.pack(f"{order}I", 0)
        + struct.pack(f"{order}HHHII", 1, 0x001B, 7, len(text), text_at)
        + struct.pack(f"{order}I", 0)
        + text
    )


def turned(image: Image.Image, orientation: int) -> Image.Image:
    """Return the picture as a camera stores it that notes `orientation`: the tag undoes it.

    Written out by coordinates (Exif 2.32, 4.6.5), not by the calls under test.
    """
    width, height = image.size
    place = {
        1: lambda x, y: (x, y),
        2: lambda x, y: (width - 1 - x, y),
        3: lambda x, y: (width - 1 - x, height - 1 - y),
        4: lambda x, y: (x, height - 1 - y),
        5: lambda x, y: (y, x),
        6: lambda x, y: (y, width - 1 - x),
        7: lambda x, y: (height - 1 - y, width - 1 - x),
        8: lambda x, y: (height - 1 - y, x),
    }[orientation]
    size = (width, height) if orientation < 5 else (height, width)
    stored = Image.new(image.mode, size)
    for y in range(height):
        for x in range(width):
            stored.putpixel(place(x, y), image.getpixel((x, y)))
    return stored


def bomb_png(side: int = 13_000) -> bytes:
    """Return a one-bit PNG of `side` x `side` pixels in some 20 KB."""
    row = b"\x00" * ((side + 7) // 8)
    return raw_png(side, 1, 0, [row] * side)


def bomb_webp(kind: str, side: int = 16_383) -> bytes:
    """Return the header of a WebP of `side` x `side` pixels, with nothing much behind it."""
    last = side - 1
    if kind == "VP8L":
        return webp((b"VP8L", b"\x2f" + struct.pack("<I", last | last << 14) + b"\x00" * 64))
    frame = b"\x10\x02\x00\x9d\x01\x2a" + struct.pack("<HH", side, side) + b"\x00" * 64
    if kind == "VP8":
        return webp((b"VP8 ", frame))
    canvas = b"\x10\x00\x00\x00" + last.to_bytes(3, "little") * 2
    return webp((b"VP8X", canvas), (b"ALPH", b"\x00" * 64), (b"VP8 ", frame))


def bomb_jpeg(side: int = 65_000) -> bytes:
    """Return a small JPEG whose frame header claims `side` x `side` pixels."""
    data = bytearray(encoded(smooth(16, 16), "JPEG"))
    start = data.index(b"\xff\xc0")
    data[start + 5 : start + 9] = struct.pack(">HH", side, side)
    return bytes(data)
