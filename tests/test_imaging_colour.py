"""Colour profiles: what a picture's numbers mean is kept, the profile itself never is."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from server.domain import OutputFormat
from server.imaging import colour
from server.imaging.inspect import read_picture
from tests import whole
from tests.finishing import boxed, finished
from tests.pictures import chunk, decoded, encoded, smooth, with_png_chunks
from tests.profiles import (
    ADOBE_RGB,
    DISPLAY_P3,
    encoded_with,
    grey_profile,
    ink_profile,
    rgb_profile,
    srgb_profile,
)

KINDS = {"PNG": {}, "JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}
# The same colour in sRGB, by the definitions of the two spaces: D65, gammas 563/256 and 2.4 (sRGB's
# curve), with Bruce Lindbloom's matrices.
GREEN_IN_ADOBE, GREEN = (144, 200, 97), (113, 201, 90)


def _near(found: object, wanted: tuple[int, ...], by: int = 3) -> bool:
    assert isinstance(found, tuple)
    return all(abs(a - b) <= by for a, b in zip(found, wanted, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_adobe_rgb_becomes_srgb(kind: str) -> None:
    image = Image.new("RGB", (40, 24), GREEN_IN_ADOBE)
    picture = read_picture(encoded_with(image, kind, rgb_profile(ADOBE_RGB), **KINDS[kind]))
    assert picture.mime_type == "image/png"
    assert _near(decoded(picture.data, "RGB").getpixel((9, 9)), GREEN)
    assert b"acsp" not in picture.data
    assert b"iCCP" not in picture.data


@pytest.mark.parametrize("kind", KINDS)
def test_a_result_in_other_colours_becomes_srgb(kind: str) -> None:
    image = Image.new("RGB", (40, 24), GREEN_IN_ADOBE)
    data = encoded_with(image, kind, rgb_profile(ADOBE_RGB), **KINDS[kind])
    for output_format in OutputFormat:
        result = finished(data, output_format=output_format)
        assert _near(decoded(result.picture.data, "RGB").getpixel((9, 9)), GREEN)


def test_what_is_put_back_is_the_input_in_srgb() -> None:
    wide = encoded_with(Image.new("RGB", (40, 24), GREEN_IN_ADOBE), "PNG", rgb_profile(ADOBE_RGB))
    result = finished(
        encoded(Image.new("RGB", (40, 24), "red"), "PNG"),
        original=read_picture(wide),
        plane=boxed(40, 24, 0, 0, 20, 24),
    )
    found = decoded(result.picture.data, "RGB")
    assert _near(found.getpixel((30, 9)), GREEN)
    assert found.getpixel((3, 3)) == (255, 0, 0)


def test_white_and_black_stay_and_red_gets_stronger() -> None:
    image = Image.new("RGB", (3, 1))
    image.putdata([(0, 0, 0), (255, 255, 255), (200, 60, 60)])
    for primaries in (ADOBE_RGB, DISPLAY_P3):
        picture = read_picture(encoded_with(image, "PNG", rgb_profile(primaries)))
        black, white, red = decoded(picture.data, "RGB").get_flattened_data()
        assert (black, _near(white, (255, 255, 255), 1)) == ((0, 0, 0), True)
        assert red[0] > 205


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_that_says_it_is_srgb_keeps_its_very_own_data(kind: str) -> None:
    image = smooth(40, 24)
    plain = read_picture(encoded(image, kind, **KINDS[kind]))
    assert read_picture(encoded_with(image, kind, srgb_profile(), **KINDS[kind])) == plain


def test_transparency_stays_beside_other_colours() -> None:
    image = Image.new("RGBA", (8, 8), (*GREEN_IN_ADOBE, 77))
    picture = read_picture(encoded_with(image, "PNG", rgb_profile(ADOBE_RGB)))
    pixel = decoded(picture.data).getpixel((3, 3))
    assert (_near(pixel[:3], GREEN), pixel[3]) == (True, 77)


def test_palettes_have_their_profile_too() -> None:
    image = Image.new("P", (8, 8), 0)
    image.putpalette(GREEN_IN_ADOBE)
    picture = read_picture(encoded_with(image, "PNG", rgb_profile(ADOBE_RGB)))
    assert _near(decoded(picture.data, "RGB").getpixel((3, 3)), GREEN)


@pytest.mark.parametrize("mode", ["L", "LA"])
def test_grey_follows_its_curve(mode: str) -> None:
    image = Image.new("L", (8, 8), 128).convert(mode)
    picture = read_picture(encoded_with(image, "PNG", grey_profile(1.0)))
    found = decoded(picture.data).getpixel((3, 3))
    assert _near(found, (188, 188, 188, 255))  # sRGB's level for half the light


def test_inks_follow_their_profile() -> None:
    """Without it the picture below would be cyan."""
    image = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    plain = decoded(read_picture(encoded(image, "JPEG", quality=100)).data, "RGB")
    read = decoded(
        read_picture(encoded_with(image, "JPEG", ink_profile(), quality=100)).data, "RGB"
    )
    assert _near(plain.getpixel((5, 5)), (0, 255, 255))
    assert max(read.getpixel((5, 5))) < 30


def test_a_profile_in_many_pieces_is_put_together() -> None:
    image = Image.new("RGB", (16, 16), GREEN_IN_ADOBE)
    long = rgb_profile(ADOBE_RGB) + b"\0" * 150_000  # more than two segments can hold
    data = encoded_with(image, "JPEG", long, **KINDS["JPEG"])
    assert data.count(b"ICC_PROFILE\0") == 3
    assert _near(decoded(read_picture(data).data, "RGB").getpixel((5, 5)), GREEN)
    lost = data.replace(b"ICC_PROFILE\0\x02", b"ICC_PROFILE\0\x09")
    assert _near(decoded(read_picture(lost).data, "RGB").getpixel((5, 5)), GREEN_IN_ADOBE)


def _with(offset: int, value: bytes) -> Callable[[bytes], bytes]:
    return lambda profile: profile[:offset] + value + profile[offset + len(value) :]


HOSTILE = {
    "empty": lambda _: b"",
    "cut in the header": lambda p: p[:100],
    "cut in the table": lambda p: p[:140],
    "cut in the tags": lambda p: p[: len(p) // 2],
    "longer than it is": _with(0, struct.pack(">I", 1 << 31)),
    "no magic": _with(36, b"xxxx"),
    "of version 5": _with(8, b"\x05"),
    "of inks": _with(16, b"CMYK"),
    "of grey": _with(16, b"GRAY"),
    "a link between devices": _with(12, b"link"),
    "of an odd connection space": _with(20, b"RGB "),
    "four thousand million tags": _with(128, b"\xff\xff\xff\xff"),
    "a tag beyond the end": _with(136, struct.pack(">II", 0xFFFF_FF00, 64)),
    "tags of zeros": lambda p: p[:250] + b"\0" * (len(p) - 250),
    "no tags at all": _with(128, b"\0\0\0\0"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", HOSTILE)
def test_a_profile_that_cannot_be_used_is_passed_over(case: str, kind: str) -> None:
    image = Image.new("RGB", (16, 16), GREEN_IN_ADOBE)
    data = encoded_with(image, kind, HOSTILE[case](rgb_profile(ADOBE_RGB)), **KINDS[kind])
    assert _near(decoded(read_picture(data).data, "RGB").getpixel((5, 5)), GREEN_IN_ADOBE)


def test_a_compressed_bomb_of_a_profile_is_passed_over() -> None:
    bomb = zlib.compress(b"\0" * 100_000_000, 9)
    assert colour.inflated(bomb) == b""
    assert colour.inflated(zlib.compress(b"abc")) == b"abc"
    assert colour.inflated(b"no zlib at all") == b""
    data = with_png_chunks(encoded(smooth(8, 8), "PNG"), chunk(b"iCCP", b"p\0\0" + bomb))
    assert decoded(read_picture(data).data, "RGB") == smooth(8, 8)


@settings(max_examples=whole.of(150, 40))
@given(
    profile=st.sampled_from([rgb_profile(ADOBE_RGB), ink_profile(), grey_profile(2.2)]),
    places=st.lists(st.tuples(st.integers(0, 600), st.integers(0, 255)), max_size=8),
)
def test_no_bytes_of_a_profile_break_anything(
    profile: bytes, places: list[tuple[int, int]]
) -> None:
    changed = bytearray(profile)
    for place, value in places:
        changed[place % len(changed)] = value
    for mode in ("RGB", "L", "CMYK"):
        image = Image.new(mode, (4, 4), 99)
        assert colour.to_srgb(image, bytes(changed)).mode in {"RGB", mode}
