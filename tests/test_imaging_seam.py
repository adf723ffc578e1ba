"""The seam lies inside the mask: softly from the input's pixels to the model's, never beyond."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageDraw

from server.imaging.coverage import CoveragePlane
from server.imaging.seam import put_back
from tests import whole
from tests.finishing import boxed
from tests.pictures import gradient, smooth

SIZE = (384, 96)


@st.composite
def _planes(draw: st.DrawFn) -> CoveragePlane:
    """Draw boxes and ovals, thick and thin, also over the rim."""
    levels = Image.new("L", SIZE, draw(st.sampled_from((0, 255))))
    pen = ImageDraw.Draw(levels)
    for _ in range(draw(st.integers(1, 5))):
        left, top = draw(st.integers(-20, 380)), draw(st.integers(-20, 90))
        box = (left, top, left + draw(st.integers(0, 200)), top + draw(st.integers(0, 60)))
        shape = draw(st.sampled_from((pen.rectangle, pen.ellipse)))
        shape(box, fill=draw(st.sampled_from((0, 255))))
    return CoveragePlane.from_levels(levels)


@settings(max_examples=whole.of(25, 10))
@given(plane=_planes(), mode=st.sampled_from(("RGB", "RGBA")))
def test_not_one_protected_pixel_is_touched_and_each_other_one_shows_the_edit(
    plane: CoveragePlane, mode: str
) -> None:
    source = gradient(*SIZE, mode, 2)
    model = gradient(*SIZE, mode, 11)
    if mode == "RGBA":
        model.putalpha(255)
        source.putalpha(255)
    result = model.copy()
    keep = plane.protected()
    put_back(source, result, keep)
    nothing = Image.new(mode, SIZE)
    outside = Image.composite(ImageChops.difference(source, result), nothing, keep)
    assert outside.getextrema() == nothing.getextrema()
    edited = plane.edited()
    for x in range(0, SIZE[0], 13):
        for y in range(0, SIZE[1], 5):
            if edited.getpixel((x, y)):
                bands = zip(*(i.getpixel((x, y)) for i in (source, model, result)), strict=True)
                for one, other, found in bands:
                    assert abs(found - one) >= abs(other - one) * 0.4 - 2
                    assert min(one, other) - 2 <= found <= max(one, other) + 2


def test_the_models_pixels_fade_in_over_three_pixels() -> None:
    model = Image.new("RGB", SIZE, (200, 200, 200))
    put_back(Image.new("RGB", SIZE), model, boxed(*SIZE, 100, 0, 300, 96).protected())
    row = [model.getpixel((x, 48))[0] for x in range(98, 106)]
    assert row == sorted(row)
    assert row[:2] == [0, 0]
    assert 0 < row[2] < row[3] < row[4] < 200
    assert row[5:] == [200, 200, 200]


def test_a_small_picture_has_no_seam() -> None:
    model = Image.new("RGB", (60, 40), "red")
    put_back(Image.new("RGB", (60, 40)), model, boxed(60, 40, 10, 10, 20, 20).protected())
    assert model.crop((10, 10, 20, 20)) == Image.new("RGB", (10, 10), "red")


@pytest.mark.parametrize("edge", [(0, 0, 60, 96), (324, 0, 384, 96), (0, 0, 384, 30)])
def test_there_is_no_seam_along_the_pictures_own_rim(edge: tuple[int, ...]) -> None:
    model = Image.new("RGB", SIZE, "red")
    put_back(smooth(*SIZE), model, boxed(*SIZE, *edge).protected())
    rim = [(0, 2), (383, 2), (190, 0)][
        [0, 324, -1].index(edge[0] if edge[2] - edge[0] < 90 else -1)
    ]
    assert model.getpixel(rim) == (255, 0, 0)


def test_colours_that_no_one_sees_do_not_shine_through() -> None:
    model = Image.new("RGBA", SIZE, (0, 0, 200, 255))
    put_back(
        Image.new("RGBA", SIZE, (255, 255, 0, 0)), model, boxed(*SIZE, 100, 0, 300, 96).protected()
    )
    for x in range(100, 104):
        red, green, blue, alpha = model.getpixel((x, 48))
        assert (red, green) == (0, 0)
        assert abs(blue - 200) <= 2
        assert alpha >= 100
    assert model.getpixel((99, 48)) == (255, 255, 0, 0)
