"""What comes out of the gate: the right pixels, in 8 bits, re-encoded only where they must be."""

from __future__ import annotations

import struct

import pytest
from PIL import Image

from server.imaging.inspect import read_picture
from tests.pictures import (
    chunk,
    decoded,
    encoded,
    exif,
    extended_webp,
    gradient,
    jpeg_segments,
    png_chunks,
    raw_png,
    smooth,
    webp_chunks,
    with_jpeg_segments,
)

_PALETTE = chunk(b"PLTE", bytes([255, 0, 0, 0, 255, 0, 0, 0, 255]))


def _words(*values: int) -> bytes:
    return struct.pack(f">{len(values)}H", *values)


def _opaque(*colours: tuple[int, int, int] | int) -> list[tuple[int, ...]]:
    return [
        (colour,) * 3 + (255,) if isinstance(colour, int) else (*colour, 255) for colour in colours
    ]


# One row of pixels by the letter of the PNG specification, and what it looks like in 8-bit RGBA.
MODES = {
    "1": (raw_png(4, 1, 0, [b"\x50"]), _opaque(0, 255, 0, 255)),
    "1 with key": (
        raw_png(2, 1, 0, [b"\x40"], before=[chunk(b"tRNS", _words(1))]),
        [(0, 0, 0, 255), (255, 255, 255, 0)],
    ),
    "L of 2 bits": (raw_png(4, 2, 0, [b"\x1b"]), _opaque(0, 85, 170, 255)),
    "L of 2 bits with key": (
        raw_png(2, 2, 0, [b"\x90"], before=[chunk(b"tRNS", _words(2))]),
        [(170, 170, 170, 0), (85, 85, 85, 255)],
    ),
    "L of 4 bits with key": (
        raw_png(2, 4, 0, [b"\x5f"], before=[chunk(b"tRNS", _words(5))]),
        [(85, 85, 85, 0), (255, 255, 255, 255)],
    ),
    "L": (raw_png(3, 8, 0, [b"\x00\x9c\xff"]), _opaque(0, 156, 255)),
    "L with key": (
        raw_png(2, 8, 0, [b"\x07\x08"], before=[chunk(b"tRNS", _words(7))]),
        [(7, 7, 7, 0), (8, 8, 8, 255)],
    ),
    "LA": (raw_png(2, 8, 4, [b"\x10\x80\xff\x00"]), [(16, 16, 16, 128), (255, 255, 255, 0)]),
    "I;16": (
        raw_png(5, 16, 0, [_words(0, 255, 256, 40_000, 65_535)]),
        _opaque(0, 1, 1, 156, 255),
    ),
    "I;16 with key": (
        raw_png(3, 16, 0, [_words(40_000, 40_001, 0)], before=[chunk(b"tRNS", _words(40_000))]),
        [(156, 156, 156, 0), (156, 156, 156, 255), (0, 0, 0, 255)],
    ),
    "LA of 16 bits": (raw_png(1, 16, 4, [_words(40_000, 40_000)]), [(156, 156, 156, 156)]),
    "RGB": (raw_png(1, 8, 2, [b"\x01\x02\x03"]), _opaque((1, 2, 3))),
    "RGB with key": (
        raw_png(2, 8, 2, [b"\x01\x02\x03\x01\x02\x04"], before=[chunk(b"tRNS", _words(1, 2, 3))]),
        [(1, 2, 3, 0), (1, 2, 4, 255)],
    ),
    "RGB of 16 bits": (raw_png(1, 16, 2, [_words(0, 40_000, 65_535)]), _opaque((0, 156, 255))),
    "RGB of 16 bits with key": (
        raw_png(
            2,
            16,
            2,
            [_words(40_000, 300, 0, 0, 300, 40_000)],
            before=[chunk(b"tRNS", _words(40_000, 300, 0))],
        ),
        [(156, 1, 0, 0), (0, 1, 156, 255)],
    ),
    "RGBA": (raw_png(1, 8, 6, [b"\x01\x02\x03\x04"]), [(1, 2, 3, 4)]),
    "RGBA of 16 bits": (
        raw_png(1, 16, 6, [_words(257, 40_000, 65_535, 32_896)]),
        [(1, 156, 255, 128)],
    ),
    "P": (
        raw_png(3, 8, 3, [b"\x02\x01\x00"], before=[_PALETTE]),
        _opaque((0, 0, 255), (0, 255, 0), (255, 0, 0)),
    ),
    "P of 2 bits": (
        raw_png(3, 2, 3, [b"\x90"], before=[_PALETTE]),
        _opaque((0, 0, 255), (0, 255, 0), (255, 0, 0)),
    ),
    "P with one transparent colour": (
        raw_png(2, 8, 3, [b"\x00\x01"], before=[_PALETTE, chunk(b"tRNS", b"\xff\x00")]),
        [(255, 0, 0, 255), (0, 255, 0, 0)],
    ),
    "P with degrees of transparency": (
        raw_png(3, 8, 3, [b"\x00\x01\x02"], before=[_PALETTE, chunk(b"tRNS", b"\x40\x80")]),
        [(255, 0, 0, 64), (0, 255, 0, 128), (0, 0, 255, 255)],
    ),
}


@pytest.mark.parametrize(("data", "wanted"), MODES.values(), ids=MODES)
def test_every_kind_of_png_shows_what_its_specification_says(
    data: bytes, wanted: list[tuple[int, ...]]
) -> None:
    picture = read_picture(data)
    found = decoded(picture.data)
    for x, pixel in enumerate(wanted):
        got = found.getpixel((x, 0))
        assert all(abs(a - b) <= 1 for a, b in zip(got, pixel, strict=True)), (x, got, pixel)
    header = picture.data[24:26]
    assert header in {b"\x08\x00", b"\x08\x02", b"\x08\x04", b"\x08\x06"}
    assert png_chunks(picture.data) == [b"IHDR", b"IDAT", b"IEND"]


def _adobe(transform: int) -> tuple[int, bytes]:
    return 0xEE, b"Adobe\x00\x64\x00\x00\x00\x00" + bytes([transform])


def test_cmyk_jpegs_come_out_in_their_true_colours() -> None:
    inks = Image.new("CMYK", (16, 8), (0, 200, 100, 50))
    colour = tuple(round((255 - ink) * (255 - 50) / 255) for ink in (0, 200, 100))
    picture = read_picture(encoded(inks, "JPEG", quality=100))
    assert picture.mime_type == "image/png"
    found = decoded(picture.data, "RGB").getpixel((3, 3))
    assert all(abs(a - b) <= 1 for a, b in zip(found, colour, strict=True))


def test_ycck_jpegs_come_out_in_their_true_colours() -> None:
    # A CMYK file with another Adobe marker is a YCCK one: Y, Cb, Cr give R = 255 - C and so on, of
    # inks that Adobe stores inverted (Adobe technical note 5116, section 18).
    stored = (180, 90, 170, 205)
    cmyk = encoded(Image.new("CMYK", (16, 8), tuple(255 - v for v in stored)), "JPEG", quality=100)
    assert cmyk.count(b"Adobe") == 1
    at = cmyk.index(b"Adobe") + 11
    ycck = cmyk[:at] + b"\x02" + cmyk[at + 1 :]
    y, cb, cr, k = stored
    rgb = (
        y + 1.402 * (cr - 128),
        y - 0.344 * (cb - 128) - 0.714 * (cr - 128),
        y + 1.772 * (cb - 128),
    )
    wanted = [round((255 - min(max(v, 0), 255)) * k / 255) for v in rgb]
    found = decoded(read_picture(ycck).data, "RGB").getpixel((3, 3))
    assert all(abs(a - b) <= 2 for a, b in zip(found, wanted, strict=True)), (found, wanted)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"keep_rgb": True}])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_an_ordinary_jpeg_keeps_its_very_own_picture_data(mode: str, options: dict) -> None:
    data = encoded(smooth(40, 24).convert(mode), "JPEG", **options)
    noted = with_jpeg_segments(data, (0xE1, b"Exif\x00\x00" + exif()), (0xFE, b"hello"))
    picture = read_picture(noted)
    assert picture.mime_type == "image/jpeg"
    assert picture.data[picture.data.index(b"\xff\xdb") :] == data[data.index(b"\xff\xdb") :]
    assert decoded(picture.data) == decoded(data)
    assert set(jpeg_segments(picture.data)) <= {0xE0, 0xEE, 0xDB, 0xC0, 0xC2, 0xC4}


def test_a_jpeg_without_jfif_gets_none_that_would_change_its_colours() -> None:
    data = encoded(smooth(16, 16), "JPEG", keep_rgb=True)
    assert decoded(read_picture(with_jpeg_segments(data, _adobe(0))).data) == decoded(data)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("lossless", [True, False])
def test_an_ordinary_webp_keeps_its_very_own_picture_data(mode: str, lossless: bool) -> None:
    data = encoded(gradient(17, 9, mode), "WEBP", lossless=lossless, exact=True)
    noted = extended_webp(data, (b"EXIF", exif()), (b"XMP ", b"<x/>"))
    picture = read_picture(noted)
    assert picture.mime_type == "image/webp"
    kept = {b"VP8 ", b"VP8L", b"ALPH"}
    assert [c for c in webp_chunks(picture.data) if c[0] in kept] == [
        c for c in webp_chunks(data) if c[0] in kept
    ]
    assert decoded(picture.data) == decoded(data)
