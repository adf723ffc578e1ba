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
        "Change only the region at the lower left of the picture: from 0 % to 25 % of the width, "
        "counted from the left, and from 75 % to 100 % of the height, counted from the top; it is "
        "about 6 % of the picture. Everything outside this region must stay exactly as it is. Keep "
        "the size and framing."
    )
    assert "less than 1 % of the picture" in region_instruction(_plane(0, 0, 5, 5))


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
