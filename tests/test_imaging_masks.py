"""Masks: what is selected, by every convention, and what every upstream gets of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from server.domain import MaskConvention
from server.imaging.inspect import BadPicture
from server.imaging.masks import (
    CoveragePlane,
    native_mask,
    read_mask,
    second_image_mask,
)
from tests.pictures import chunk, decoded, encoded, gradient, raw_png

OPAQUE, TRANSPARENT, LUMINANCE = MaskConvention


@st.composite
def _levels(draw: st.DrawFn) -> Image.Image:
    """Draw a grey picture of levels on both sides of the threshold."""
    width, height = draw(st.integers(1, 21)), draw(st.integers(1, 9))
    level = st.one_of(st.sampled_from((0, 127, 128, 255)), st.integers(0, 255))
    values = draw(st.lists(level, min_size=width * height, max_size=width * height))
    return Image.frombytes("L", (width, height), bytes(values))


def _grey(levels: Image.Image) -> bytes:
    return encoded(levels, "PNG")


def _colours(levels: Image.Image) -> bytes:
    return encoded(levels.convert("RGB"), "PNG")


def _grey_16(levels: Image.Image) -> bytes:
    rows = [
        b"".join(bytes([levels.getpixel((x, y)), 0]) for x in range(levels.width))
        for y in range(levels.height)
    ]
    return raw_png(levels.width, 16, 0, rows)


def _alpha(levels: Image.Image) -> bytes:
    image = gradient(*levels.size)
    image.putalpha(levels)
    return encoded(image, "PNG")


def _grey_alpha(levels: Image.Image) -> bytes:
    image = gradient(*levels.size, "L")
    image.putalpha(levels)
    return encoded(image, "PNG")


def _webp_alpha(levels: Image.Image) -> bytes:
    image = gradient(*levels.size)
    levels = levels.copy()
    levels.putpixel((0, 0), levels.getpixel((0, 0)) % 255)  # WebP drops an alpha of 255 all over
    image.putalpha(levels)
    return encoded(image, "WEBP", lossless=True, exact=True)


def _palette_alpha(levels: Image.Image) -> bytes:
    colours = bytes((index * 7) % 256 for index in range(768))
    rows = [
        bytes(levels.getpixel((x, y)) for x in range(levels.width)) for y in range(levels.height)
    ]
    before = [chunk(b"PLTE", colours), chunk(b"tRNS", bytes(range(256)))]
    return raw_png(levels.width, 8, 3, rows, before=before)


def _grey_under_alpha(levels: Image.Image) -> bytes:
    image = Image.merge("LA", (levels, gradient(*levels.size, "L")))
    return encoded(image, "PNG")


# How levels become a file, the convention that reads them, and whether it edits the high ones.
READINGS = {
    "opaque, grey": (_grey, OPAQUE, True),
    "opaque, colours": (_colours, OPAQUE, True),
    "opaque, 16 bits": (_grey_16, OPAQUE, True),
    "opaque, RGBA": (_alpha, OPAQUE, True),
    "opaque, LA": (_grey_alpha, OPAQUE, True),
    "opaque, palette": (_palette_alpha, OPAQUE, True),
    "transparent, RGBA": (_alpha, TRANSPARENT, False),
    "transparent, LA": (_grey_alpha, TRANSPARENT, False),
    "transparent, palette": (_palette_alpha, TRANSPARENT, False),
    "transparent, WebP": (_webp_alpha, TRANSPARENT, False),
    "luminance, grey": (_grey, LUMINANCE, True),
    "luminance, colours": (_colours, LUMINANCE, True),
    "luminance, alpha ignored": (_grey_under_alpha, LUMINANCE, True),
}


@pytest.mark.parametrize(("write", "convention", "high"), READINGS.values(), ids=READINGS)
@given(levels=_levels())
def test_every_pixel_keeps_its_meaning_on_every_road(
    write: object, convention: MaskConvention, high: bool, levels: Image.Image
) -> None:
    assert callable(write)
    if write is _webp_alpha:
        levels = levels.copy()
        levels.putpixel((0, 0), levels.getpixel((0, 0)) % 255)
    wanted = [(level >= 128) == high for level in levels.tobytes()]
    data = write(levels)
    if not any(wanted):
        with pytest.raises(BadPicture, match=r"^selects nothing: "):
            read_mask(data, convention, *levels.size)
        return
    plane = read_mask(data, convention, *levels.size)

    native = native_mask(plane)
    assert (native.mime_type, native.width, native.height) == ("image/png", *levels.size)
    assert native.data[24:26] == b"\x08\x06"
    assert decoded(native.data).tobytes() == b"".join(
        b"\x00\x00\x00\x00" if edit else b"\x00\x00\x00\xff" for edit in wanted
    )

    second = second_image_mask(plane)
    assert (second.mime_type, second.width, second.height) == ("image/png", *levels.size)
    assert second.data[24] == 8
    assert list(decoded(second.data, "L").tobytes()) == [255 if edit else 0 for edit in wanted]

    width = levels.width
    spots = [(at % width, at // width) for at, edit in enumerate(wanted) if edit]
    across, down = [x for x, _ in spots], [y for _, y in spots]
    assert plane.bounding_box == (min(across), min(down), max(across) + 1, max(down) + 1)
    assert plane.share == sum(wanted) / len(wanted)


@given(levels=_levels())
def test_openai_reads_from_our_native_mask_what_our_caller_meant(levels: Image.Image) -> None:
    plane = CoveragePlane.from_levels(levels)
    if plane.bounding_box is not None:
        again = read_mask(native_mask(plane).data, TRANSPARENT, *levels.size)
        assert again == plane
        again = read_mask(second_image_mask(plane).data, LUMINANCE, *levels.size)
        assert again == plane
    assert plane.inverted().inverted() == plane
    assert plane.inverted().share == pytest.approx(1 - plane.share)


def test_a_plane_is_compact() -> None:
    plane = CoveragePlane.from_levels(Image.new("L", (4096, 4096), 255))
    assert len(plane.rows) == 2 * 1024 * 1024
    assert plane.share == 1.0
