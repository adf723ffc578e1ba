"""What models without a mask of their own are told about it."""

from __future__ import annotations

import pytest
from PIL import Image, ImageDraw

from server.imaging.coverage import CoveragePlane
from server.imaging.mask_words import region_instruction, second_image_instruction


def _plane(*box: int) -> CoveragePlane:
    levels = Image.new("L", (200, 100))
    left, top, right, bottom = box
    ImageDraw.Draw(levels).rectangle((left, top, right - 1, bottom - 1), fill=255)
    return CoveragePlane.from_levels(levels)


PLACES = {
    "at the upper left": (0, 0, 40, 20),
    "at the top": (80, 0, 120, 20),
    "at the upper right": (160, 0, 200, 20),
    "at the left side": (0, 40, 40, 60),
    "at the centre": (80, 40, 120, 60),
    "at the right side": (160, 40, 200, 60),
    "at the lower left": (0, 80, 40, 100),
    "at the bottom": (80, 80, 120, 100),
    "at the lower right": (160, 80, 200, 100),
    "across the top": (0, 0, 200, 20),
    "across the middle": (10, 40, 200, 60),
    "across the bottom": (0, 90, 200, 100),
    "down the left side": (0, 0, 40, 100),
    "down the centre": (80, 0, 120, 100),
    "down the right side": (160, 0, 200, 100),
    "over most": (0, 0, 200, 100),
}


@pytest.mark.parametrize(("words", "box"), PLACES.items(), ids=PLACES)
def test_a_region_is_told_by_its_place(words: str, box: tuple[int, ...]) -> None:
    text = region_instruction(_plane(*box))
    assert [place for place in PLACES if f"{place} of the picture" in text] == [words]


def test_a_region_is_told_in_numbers() -> None:
    assert region_instruction(_plane(0, 75, 50, 100)) == (
        "Change only the rectangular region at the lower left of the picture: from 0 % to 25 % of "
        "the width, counted from the left, and from 75 % to 100 % of the height, counted from the "
        "top; it is about 6 % of the picture. Everything outside this region must stay exactly as "
        "it is. Keep the size and framing."
    )
    assert "less than 1 % of the picture" in region_instruction(_plane(0, 0, 5, 5))


def _drawn(*ovals: tuple[int, ...], edited: bool = True) -> CoveragePlane:
    levels = Image.new("L", (200, 100), 0 if edited else 255)
    for box in ovals:
        ImageDraw.Draw(levels).ellipse(box, fill=255 if edited else 0)
    return CoveragePlane.from_levels(levels)


def test_a_region_is_told_by_its_shape() -> None:
    assert "the round region at the centre" in region_instruction(_drawn((80, 30, 120, 70)))
    assert "the oval region at the upper left" in region_instruction(_drawn((10, 5, 70, 30)))
    levels = Image.new("L", (200, 100))
    ImageDraw.Draw(levels).polygon([(80, 30), (120, 30), (80, 70)], fill=255)
    triangle = CoveragePlane.from_levels(levels)
    assert "the irregular region at the centre" in region_instruction(triangle)
    # Shares of width and height: a circle on a picture of another ratio is still round.
    assert "the rectangular region" in region_instruction(_plane(80, 30, 120, 70))


def test_several_regions_are_told_one_by_one() -> None:
    text = region_instruction(_drawn((10, 5, 60, 45), (150, 60, 190, 95)))
    assert text.startswith(
        "Change only these 2 regions, counted from the left and from the top: (1) the oval region "
        "at the upper left of the picture: from 5 % to 30 % of the width and from 5 % to 46 % of"
    )
    assert "(2) the round region at the lower right of the picture: from 75 % to 96 %" in text
    assert "Everything outside them must stay" in text


def test_many_crumbs_are_told_as_one_region() -> None:
    crumbs = [(x, y, x + 8, y + 8) for x in range(5, 190, 40) for y in (10, 60)]
    text = region_instruction(_drawn(*crumbs))
    assert text.startswith(
        "Change only the irregular region across the middle of the picture: from 2 % to 87 %"
    )


def test_stray_pixels_beside_a_region_are_not_worth_words() -> None:
    stray = region_instruction(_drawn((80, 30, 120, 70), (3, 3, 4, 4)))
    assert stray == region_instruction(_drawn((80, 30, 120, 70)))


def test_around_one_thing_the_thing_is_told() -> None:
    assert region_instruction(_drawn((70, 20, 130, 95), edited=False)) == (
        "Change everything but the oval region down the centre of the picture: from 35 % to 66 % "
        "of the width, counted from the left, and from 20 % to 96 % of the height, counted from "
        "the top; it is about 18 % of the picture. That region must stay exactly as it is. Keep "
        "the size and framing."
    )


def test_a_second_picture_is_told_by_its_ordinal() -> None:
    assert second_image_instruction(1) == (
        "You get two images. Image 1 is the picture to edit. Image 2 is its mask: white marks the "
        "region to change, everything under black must stay exactly as it is in image 1. Do not "
        "draw the mask itself. Keep the size and framing of image 1."
    )
    assert second_image_instruction(2).startswith(
        "You get 3 images. Image 1 is the picture to edit. Image 2 is a reference. Image 3, the "
        "last one, is the mask for image 1: white marks"
    )
    assert "Images 2 to 5 are references. Image 6, the last one," in second_image_instruction(5)
