"""Results: the type, size and compression that were asked for."""

from __future__ import annotations

import sys
from collections import Counter
from types import FrameType

import pytest
from PIL import Image

from server.domain import OutputFormat, Picture
from server.imaging.decode import decode
from server.imaging.encode import encode
from server.imaging.inspect import BadPicture, read_picture
from tests.finishing import finished
from tests.pictures import chunk, decoded, encoded, gradient, smooth, turned, with_png_chunks

PNG, JPEG, WEBP = OutputFormat


def _pixels(picture: Picture) -> bytes:
    image = decoded(picture.data)
    assert image.size == (picture.width, picture.height)
    return image.tobytes()


@pytest.mark.parametrize("output_format", list(OutputFormat))
@pytest.mark.parametrize("arrives", ["PNG", "JPEG", "WEBP"])
def test_the_asked_type_is_kept_and_nothing_is_encoded_twice(
    arrives: str, output_format: OutputFormat
) -> None:
    data = encoded(smooth(32, 16), arrives)
    result = finished(data, output_format=output_format, compression=70, compressed=True)
    assert result.picture.mime_type == output_format.mime_type
    assert read_picture(result.picture.data) == result.picture
    same = output_format.mime_type == f"image/{arrives.lower()}"
    assert (result.picture.data == read_picture(data).data) == same


@pytest.mark.parametrize(("kind", "decodes"), [("PNG", 0), ("JPEG", 0), ("WEBP", 2)])
def test_an_edit_without_mask_is_decoded_once_each_way_at_most_and_never_encoded(
    kind: str, decodes: int
) -> None:
    asked = read_picture(encoded(gradient(40, 30), kind)).data
    delivered = read_picture(encoded(smooth(40, 30), kind)).data
    calls: Counter[str] = Counter()

    def counted(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code in {decode.__code__, encode.__code__}:
            calls[frame.f_code.co_name] += 1

    sys.setprofile(counted)
    try:
        picture = read_picture(asked, pixels=False)
        result = finished(delivered, output_format=OutputFormat[kind])
    finally:
        sys.setprofile(None)
    assert calls == ({"decode": decodes} if decodes else {})
    assert (picture.data, result.picture.data) == (asked, delivered)


@pytest.mark.parametrize("output_format", [JPEG, WEBP])
def test_what_the_upstream_did_not_compress_is_compressed_here(output_format: OutputFormat) -> None:
    data = encoded(gradient(64, 64), output_format.name, quality=95)
    small = finished(data, output_format=output_format, compression=20).picture.data
    assert len(small) < len(data) / 2
    assert finished(data, output_format=output_format).picture.data == read_picture(data).data


def test_an_opaque_background_is_white_where_the_model_left_none() -> None:
    image = Image.new("RGBA", (8, 8), (200, 0, 0, 0))
    image.paste((0, 0, 200, 255), (4, 0, 8, 8))
    result = finished(encoded(image, "PNG"), opaque=True)
    assert not result.transparent
    found = decoded(result.picture.data)
    assert (found.getpixel((0, 0)), found.getpixel((5, 5))) == ((255,) * 4, (0, 0, 200, 255))
    plain = encoded(gradient(8, 8, "RGBA", 3).convert("RGB"), "PNG")
    assert finished(plain, opaque=True).picture.data == read_picture(plain).data


def test_a_turned_delivery_is_put_upright() -> None:
    upright = smooth(32, 16)
    exif = b"MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00"
    data = with_png_chunks(encoded(turned(upright, 6), "PNG"), chunk(b"eXIf", exif))
    result = finished(data)
    assert decoded(result.picture.data, "RGB") == upright


def test_jpeg_shows_transparency_on_white() -> None:
    image = Image.new("RGBA", (32, 32), (0, 0, 0, 0))
    image.paste((200, 0, 0, 128), (16, 0, 32, 32))
    result = finished(encoded(image, "PNG"), output_format=JPEG)
    found = decoded(result.picture.data, "RGB")
    assert not result.transparent
    for x, wanted in ((4, (255, 255, 255)), (28, (227, 127, 127))):
        pair = zip(found.getpixel((x, 16)), wanted, strict=True)
        assert all(abs(a - b) <= 2 for a, b in pair)


@pytest.mark.parametrize(
    ("alpha", "output_format", "wanted"),
    [(255, PNG, False), (254, PNG, True), (0, WEBP, True), (254, JPEG, False)],
)
def test_transparency_is_reported_as_it_is(
    alpha: int, output_format: OutputFormat, wanted: bool
) -> None:
    image = Image.new("RGBA", (8, 8), (9, 9, 9, 255))
    image.putpixel((3, 3), (9, 9, 9, alpha))
    assert finished(encoded(image, "PNG"), output_format=output_format).transparent == wanted


@pytest.mark.parametrize("output_format", [JPEG, WEBP])
def test_compression_goes_from_small_to_good(output_format: OutputFormat) -> None:
    image = gradient(64, 64)
    sizes = [
        len(
            finished(encoded(image, "PNG"), output_format=output_format, compression=c).picture.data
        )
        for c in (0, 30, 60, 90, 100, None)
    ]
    assert sizes[:4] == sorted(set(sizes[:4]))
    assert sizes[4] == sizes[5]  # unset is 100


def test_webp_at_its_best_has_no_loss() -> None:
    image = gradient(33, 17, "RGBA")
    for compression in (None, 100):
        result = finished(encoded(image, "PNG"), output_format=WEBP, compression=compression)
        assert _pixels(result.picture) == image.tobytes()


def test_a_side_that_no_type_can_hold_is_refused() -> None:
    longest = encoded(Image.new("L", (16_383, 1)), "PNG")
    assert finished(longest, output_format=WEBP).picture.width == 16_383
    with pytest.raises(BadPicture, match=r"^is 16384x1 pixels, more than 16383 a side") as refusal:
        finished(encoded(Image.new("L", (16_384, 1)), "PNG"))
    assert refusal.value.limit == "16383 pixels a side"


def test_a_delivered_bomb_is_refused() -> None:
    with pytest.raises(BadPicture) as refusal:
        finished(encoded(Image.new("L", (40, 40)), "PNG"), max_pixels=1599)
    assert refusal.value.limit == "1599 pixels"


@pytest.mark.parametrize(
    ("size", "wanted", "kept"),
    [
        (None, (30, 20), True),
        ((30, 20), (30, 20), True),
        ((60, 40), (60, 40), True),
        ((40, 40), (30, 20), False),
    ],
)
def test_a_size_is_reached_where_nothing_is_distorted(
    size: tuple[int, int] | None, wanted: tuple[int, int], kept: bool
) -> None:
    result = finished(encoded(gradient(30, 20), "PNG"), size=size)
    assert (result.picture.width, result.picture.height) == wanted
    assert decoded(result.picture.data).size == wanted
    assert result.size_kept == kept
    assert (result.drift, result.unaligned) == (None, False)
