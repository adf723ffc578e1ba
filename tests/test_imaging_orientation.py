"""Which way up: image and mask are put upright before anything else."""

from __future__ import annotations

import pytest
from PIL import Image

from server.domain import MaskConvention
from server.imaging.inspect import read_picture
from server.imaging.masks import read_mask
from tests.pictures import (
    chunk,
    decoded,
    encoded,
    exif,
    extended_webp,
    gradient,
    smooth,
    turned,
    with_jpeg_segments,
    with_png_chunks,
)


def _with_orientation(image: Image.Image, kind: str, orientation: int, order: str) -> bytes:
    stored, note = turned(image, orientation), exif(orientation, order=order)
    if kind == "PNG":
        return with_png_chunks(encoded(stored, "PNG"), chunk(b"eXIf", note))
    if kind == "PNG, at the end":
        return with_png_chunks(encoded(stored, "PNG"), b"", chunk(b"eXIf", note))
    if kind == "WEBP":
        return extended_webp(encoded(stored, "WEBP", lossless=True, exact=True), (b"EXIF", note))
    data = encoded(stored, "JPEG", quality=95, subsampling=0)
    return with_jpeg_segments(data, (0xE1, b"Exif\x00\x00" + note))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["PNG", "PNG, at the end", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_image_and_mask_are_put_upright(orientation: int, kind: str, order: str) -> None:
    upright = gradient(7, 4, "RGBA")
    data = _with_orientation(upright, kind, orientation, order)
    picture = read_picture(data)
    assert (picture.width, picture.height) == (7, 4)
    assert decoded(picture.data) == upright
    assert read_picture(picture.data) == picture
    plane = read_mask(data, MaskConvention.OPAQUE, 7, 4)
    alpha = upright.getchannel("A").point(lambda level: 255 * (level >= 128))
    assert plane.edited().convert("L").tobytes() == alpha.tobytes()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_jpegs_are_put_upright(orientation: int) -> None:
    upright = smooth(32, 16)
    data = _with_orientation(upright, "JPEG", orientation, ">")
    picture = read_picture(data)
    stored = decoded(encoded(turned(upright, orientation), "JPEG", quality=95, subsampling=0))
    assert (picture.width, picture.height) == (32, 16)
    assert turned(decoded(picture.data), orientation) == stored
    assert picture.mime_type == ("image/jpeg" if orientation == 1 else "image/png")


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"II*\x00",
        b"MM\x00*\xff\xff\xff\xff",
        exif(0),
        exif(9),
        exif(6)[:30],
        b"II*\x00\x08\x00\x00\x00\xff\xff",
        b"nonsense of some length",
    ],
)
def test_a_broken_exif_block_is_no_broken_picture(block: bytes) -> None:
    upright = gradient(5, 3)
    data = with_png_chunks(encoded(upright, "PNG"), chunk(b"eXIf", block))
    assert decoded(read_picture(data).data, "RGB") == upright
