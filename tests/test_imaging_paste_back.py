"""The promise: what was protected comes back as it was."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from server.domain import OutputFormat, Picture
from server.imaging.coverage import CoveragePlane
from tests.finishing import boxed, checked, finished
from tests.pictures import decoded, encoded, gradient, smooth

PNG, JPEG, WEBP = OutputFormat


def _pixels(picture: Picture) -> bytes:
    image = decoded(picture.data)
    assert image.size == (picture.width, picture.height)
    return image.tobytes()


@st.composite
def _edits(draw: st.DrawFn) -> tuple[Image.Image, Image.Image, CoveragePlane]:
    """Draw an original, what a model made of it, and a plane."""
    width, height = draw(st.integers(1, 24)), draw(st.integers(1, 12))
    modes = st.sampled_from(("RGB", "RGBA", "L", "LA"))
    bits = draw(st.lists(st.booleans(), min_size=width * height, max_size=width * height))
    levels = Image.frombytes("L", (width, height), bytes(255 * bit for bit in bits))
    original = gradient(width, height, draw(modes), draw(st.integers(0, 9)))
    model = gradient(width, height, draw(modes), draw(st.integers(10, 19)))
    return original, model, CoveragePlane.from_levels(levels)


@pytest.mark.parametrize("output_format", [PNG, WEBP])
@given(edit=_edits(), arrives=st.sampled_from(("PNG", "WEBP")))
def test_not_one_pixel_outside_the_mask_is_changed(
    output_format: OutputFormat, edit: tuple[Image.Image, Image.Image, CoveragePlane], arrives: str
) -> None:
    original, model, plane = edit
    options = {"lossless": True, "exact": True} if arrives == "WEBP" else {}
    result = finished(
        encoded(model, arrives, **options),
        original=checked(original),
        plane=plane,
        output_format=output_format,
    )
    assert result.picture.mime_type == output_format.mime_type
    assert not result.unaligned
    assert result.size_kept
    wanted = model.convert("RGBA")
    wanted.paste(original.convert("RGBA"), mask=plane.protected())
    assert _pixels(result.picture) == wanted.tobytes()
    assert result.transparent == (wanted.getchannel("A").getextrema()[0] < 255)


def test_a_model_of_another_size_is_brought_to_the_originals() -> None:
    original, model = gradient(200, 100), smooth(402, 200)
    plane = boxed(200, 100, 50, 20, 90, 60)
    result = finished(encoded(model, "PNG"), original=checked(original), plane=plane)
    found = decoded(result.picture.data, "RGB")
    assert found.size == (200, 100)
    inside, beyond_the_seam = (50, 20, 90, 60), (51, 21, 89, 59)
    wanted = model.resize((200, 100), Image.Resampling.LANCZOS)
    assert found.crop(beyond_the_seam) == wanted.crop(beyond_the_seam)
    found.paste(original.crop(inside), inside)
    assert found == original


def test_the_canvas_is_the_asked_size_where_there_is_one() -> None:
    original, model = smooth(200, 100), Image.new("RGB", (300, 150), "red")
    plane = boxed(200, 100, 0, 0, 100, 100)
    result = finished(
        encoded(model, "PNG"), original=checked(original), plane=plane, size=(400, 200)
    )
    found = decoded(result.picture.data, "RGB")
    assert (result.picture.width, result.picture.height) == (400, 200)
    assert (result.size_kept, result.unaligned) == (True, False)
    assert found.crop((0, 0, 197, 200)) == Image.new("RGB", (197, 200), "red")
    larger = original.resize((400, 200), Image.Resampling.LANCZOS)
    assert found.crop((200, 0, 400, 200)) == larger.crop((200, 0, 400, 200))


def test_protected_transparency_comes_back() -> None:
    original = Image.new("RGBA", (20, 10), (10, 20, 30, 0))
    result = finished(
        encoded(Image.new("RGB", (20, 10), "red"), "PNG"),
        original=checked(original),
        plane=boxed(20, 10, 0, 0, 5, 10),
    )
    found = decoded(result.picture.data)
    assert found.getpixel((4, 5)) == (255, 0, 0, 255)
    assert found.getpixel((5, 5)) == (10, 20, 30, 0)
    assert result.transparent


def test_jpeg_keeps_what_is_protected_up_to_its_encoder() -> None:
    original = smooth(64, 64)
    result = finished(
        encoded(Image.new("RGB", (64, 64), "red"), "PNG"),
        original=checked(original, "JPEG", quality=95),
        plane=boxed(64, 64, 0, 0, 16, 64),
        output_format=JPEG,
    )
    found = decoded(result.picture.data, "RGB")
    for x in range(24, 64, 5):
        for y in range(0, 64, 5):
            pair = zip(found.getpixel((x, y)), original.getpixel((x, y)), strict=True)
            assert all(abs(a - b) <= 6 for a, b in pair)


# --- framing: sizes delivered, of the original, asked, of the result; unaligned; size kept --------

FRAMING = {
    "same": (((100, 100), (100, 100), None, (100, 100)), False, True),
    "within one per cent": (((1010, 1000), (100, 100), None, (100, 100)), False, True),
    "over one per cent": (((1011, 1000), (100, 100), None, (1011, 1000)), True, True),
    "another ratio": (((150, 100), (100, 100), None, (150, 100)), True, True),
    "asked and reached": (((50, 50), (100, 100), (60, 60), (60, 60)), False, True),
    "asked, not delivered": (((150, 100), (100, 100), (60, 60), (150, 100)), True, False),
    "asked in another ratio than the input": (
        ((30, 20), (100, 100), (60, 40), (60, 40)),
        True,
        True,
    ),
    "asked in vain": (((100, 100), (100, 100), (60, 40), (100, 100)), False, False),
    "asked beyond measure": (((9, 9), (9, 9), (5000, 5000), (9, 9)), False, False),
}


@pytest.mark.parametrize(("sizes", "unaligned", "kept"), FRAMING.values(), ids=FRAMING)
def test_framing_decides_whether_anything_is_pasted(
    sizes: tuple[Any, ...], unaligned: bool, kept: bool
) -> None:
    delivered, original, size, wanted = sizes
    model = encoded(Image.new("RGB", delivered, "red"), "PNG")
    source = checked(Image.new("RGB", original, "blue"))
    plane = boxed(*original, 0, 0, original[0], original[1] // 2)
    for exact in (True, False):
        result = finished(model, original=source, plane=plane, size=size, exact=exact)
        assert result.size_kept == kept
        assert result.unaligned == (unaligned and exact)
        assert result.drift == pytest.approx(2 / 3)
        found = decoded(result.picture.data, "RGB")
        pasted = exact and not unaligned
        if pasted or size:
            assert found.size == wanted
        lowest = found.getpixel((found.width // 2, found.height - 1))
        assert lowest == ((0, 0, 255) if pasted else (255, 0, 0))
