"""Which files pass the gate, which do not, and what they are told."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from server.imaging.inspect import BadPicture, read_picture
from tests.finishing import finished
from tests.pictures import (
    chunk,
    decoded,
    encoded,
    gradient,
    one_frame_webp,
    png_chunks,
    raw_png,
    smooth,
    webp,
    webp_chunks,
    with_jpeg_segments,
    with_png_chunks,
)

_ROOT = Path(__file__).parent.parent

FOREIGN = {
    "gif": (encoded(gradient(4, 4), "GIF"), "a GIF"),
    "bmp": (encoded(gradient(4, 4), "BMP"), "a BMP"),
    "tiff": (encoded(gradient(4, 4), "TIFF"), "a TIFF"),
    "tiff big endian": (b"MM\x00*\x00\x00\x00\x08", "a TIFF"),
    "icon": (encoded(gradient(16, 16), "ICO"), "an icon"),
    "jpeg 2000": (encoded(gradient(4, 4), "JPEG2000"), "a JPEG 2000"),
    "pdf": (encoded(gradient(4, 4), "PDF"), "a PDF"),
    "eps": (encoded(gradient(4, 4), "EPS"), "PostScript"),
    "psd": (b"8BPS\x00\x01" + bytes(20), "a Photoshop file"),
    "svg": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG"),
    "svg after a prologue": (b'\xef\xbb\xbf<?xml version="1.0"?>\n<svg/>', "an SVG"),
    "html": (b"\n<!DOCTYPE HTML><title>x</title>", "HTML"),
    "heic": (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00", "a HEIC"),
    "avif": (b"\x00\x00\x00\x18ftypavif\x00\x00\x00\x00", "an AVIF"),
    "jpeg xl": (b"\xff\x0a" + bytes(20), "a JPEG XL"),
    "zip": (b"PK\x03\x04" + bytes(20), "a ZIP archive"),
    "json": (b'{"error": 1}', "JSON"),
    "data url": (b"data:image/png;base64,iVBORw0KGgo=", "a data URL"),
    "portable pixmap": (encoded(gradient(4, 4), "PPM"), None),
    "text": (b"hello", None),
    "another riff": (b"RIFF\x04\x00\x00\x00WAVE", None),
    "half a png signature": (b"\x89PNG\r\n", None),
}


@pytest.mark.parametrize(("data", "looks"), FOREIGN.values(), ids=FOREIGN)
def test_anything_else_is_refused_by_its_name(data: bytes, looks: str | None) -> None:
    hint = f": it looks like {looks}" if looks else ""
    with pytest.raises(BadPicture) as refusal:
        read_picture(data)
    assert refusal.value.message == f"is not a PNG, JPEG or WebP picture{hint}"
    assert refusal.value.limit is None


def test_foreign_files_reach_no_parser() -> None:
    script = (
        "import sys, pickle\n"
        "from server.imaging.inspect import BadPicture, read_picture\n"
        "before = set(sys.modules)\n"
        "for data in pickle.load(sys.stdin.buffer):\n"
        "    try: read_picture(data)\n"
        "    except BadPicture: continue\n"
        "    sys.exit('accepted')\n"
        "new = set(sys.modules) - before\n"
        "sys.exit(f'imported {new}' if new else 0)\n"
    )
    files = pickle.dumps([data for data, _ in FOREIGN.values()])
    done = subprocess.run([sys.executable, "-c", script], input=files, cwd=_ROOT, check=False)
    assert done.returncode == 0


_FRAMES = [gradient(6, 6, phase=phase) for phase in range(3)]
ANIMATED = {
    "png": encoded(_FRAMES[0], "PNG", save_all=True, append_images=_FRAMES[1:]),
    "webp": encoded(_FRAMES[0], "WEBP", save_all=True, append_images=_FRAMES[1:]),
}


@pytest.mark.parametrize("kind", ANIMATED)
def test_animations_are_refused_by_that_name(kind: str) -> None:
    with pytest.raises(BadPicture, match=r"^is animated \(3 frames\)"):
        read_picture(ANIMATED[kind])


def test_an_animation_of_one_frame_is_a_picture() -> None:
    still = one_frame_webp(gradient(6, 6))
    assert decoded(read_picture(still).data) == gradient(6, 6).convert("RGBA")
    one = with_png_chunks(encoded(gradient(6, 6), "PNG"), chunk(b"acTL", b"\0\0\0\1\0\0\0\0"))
    picture = read_picture(one)
    assert decoded(picture.data) == gradient(6, 6).convert("RGBA")
    assert png_chunks(picture.data) == [b"IHDR", b"IDAT", b"IEND"]


def test_of_several_jpegs_in_one_file_the_first_is_taken() -> None:
    first, second = smooth(32, 16), smooth(32, 16).transpose(Image.Transpose.ROTATE_180)
    several = encoded(first, "MPO", save_all=True, append_images=[second])
    picture = read_picture(several)
    assert (picture.mime_type, picture.width, picture.height) == ("image/jpeg", 32, 16)
    assert picture.data.count(b"\xff\xd8\xff") == 1
    assert decoded(picture.data) == decoded(several)


BROKEN = {
    "empty": (b"", "is empty"),
    "png signature alone": (b"\x89PNG\r\n\x1a\n", "is a broken PNG: its header is not whole"),
    "png without pixels": (
        b"\x89PNG\r\n\x1a\n" + encoded(gradient(2, 2), "PNG")[8:33] + chunk(b"IEND"),
        "is a broken PNG: its picture data cannot be decoded",
    ),
    "png of zero width": (raw_png(0, 8, 0, [b""]), "is 0x1 pixels: there is nothing in it"),
    "png of zero height": (raw_png(3, 8, 0, []), "is 3x0 pixels: there is nothing in it"),
    "png of an impossible depth": (
        raw_png(1, 5, 0, [b"\x00"]),
        "is a broken PNG: its picture data cannot be decoded",
    ),
    "png of a million chunks": (
        with_png_chunks(encoded(gradient(2, 2), "PNG"), chunk(b"teSt") * 70_000),
        "is a PNG of more than 65536 chunks",
    ),
    "png with a wrong checksum": (
        encoded(gradient(2, 2), "PNG")[:-16] + bytes(4) + chunk(b"IEND"),
        "is a broken PNG: a checksum does not match",
    ),
    "jpeg signature alone": (b"\xff\xd8\xff", "is a JPEG that is cut short"),
    "jpeg without a picture": (b"\xff\xd8\xff\xd9", "is a broken JPEG: it holds no picture"),
    "jpeg of a million segments": (
        with_jpeg_segments(encoded(smooth(8, 8), "JPEG"), *[(0xFE, b"")] * 70_000),
        "is a JPEG of more than 65536 segments",
    ),
    "jpeg of a thousand scans": (
        encoded(smooth(8, 8), "JPEG")[:-2] + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" * 1000,
        "is a JPEG of more than 64 scans",
    ),
    "jpeg, lossless": (
        encoded(smooth(8, 8), "JPEG").replace(b"\xff\xc0", b"\xff\xc3"),
        "is a lossless or hierarchical JPEG, which few programs can read",
    ),
    "webp of nothing": (webp(), "is a broken WebP: it holds no picture"),
    "webp without pixels": (
        webp((b"VP8X", bytes(10))),
        "is a broken WebP: it holds no picture",
    ),
    "webp of a million chunks": (
        webp(*[(b"junk", b"")] * 70_000),
        "is a WebP of more than 65536 chunks",
    ),
    "webp of two sizes": (
        webp(
            (b"VP8X", b"\0\0\0\0" + b"\x09\0\0" * 2),
            *webp_chunks(encoded(gradient(4, 4), "WEBP", lossless=True)),
        ),
        "is a broken WebP: its canvas and its picture differ in size",
    ),
}


@pytest.mark.parametrize(("data", "message"), BROKEN.values(), ids=BROKEN)
def test_broken_files_are_told_what_is_wrong(data: bytes, message: str) -> None:
    with pytest.raises(BadPicture) as refusal:
        read_picture(data)
    assert refusal.value.message == message


def test_a_delivered_file_passes_the_same_gate() -> None:
    for data, _ in [*FOREIGN.values(), *BROKEN.values()]:
        with pytest.raises(BadPicture):
            finished(data)
