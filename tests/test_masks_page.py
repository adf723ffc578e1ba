"""docs/masks.md says what the code does, and shows what it makes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageDraw, ImageStat

from server.catalog_file import load
from server.domain import MaskConvention, MaskMethod
from server.imaging.coverage import CoveragePlane
from server.imaging.mask_words import region_instruction, second_image_instruction
from server.imaging.masks import read_mask
from tests.mask_pictures import render
from tests.pictures import encoded
from tests.running import Gateway

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "masks.md").read_text(encoding="utf-8")


def test_the_quoted_words_are_the_ones_that_are_sent() -> None:
    levels = Image.new("L", (200, 100))
    ImageDraw.Draw(levels).ellipse((10, 5, 70, 30), fill=255)
    quoted = re.findall(r"^> (.*)$", PAGE, re.MULTILINE)
    assert quoted == [
        second_image_instruction(1),
        region_instruction(CoveragePlane.from_levels(levels)),
    ]


def test_every_convention_and_method_is_told() -> None:
    rows = re.findall(r"^\| `(\w+)`", PAGE, re.MULTILINE)
    assert rows == ["mask_convention", *MaskConvention, *MaskMethod]


# A pixel of a mask, and under which conventions the page says that it is edited.
PIXELS = {
    "opaque white": ((255, 255, 255, 255), {"opaque", "luminance"}),
    "opaque black": ((0, 0, 0, 255), {"opaque"}),
    "transparent white": ((255, 255, 255, 0), {"transparent", "luminance"}),
    "transparent black": ((0, 0, 0, 0), {"transparent"}),
}


@pytest.mark.parametrize(("pixel", "edited"), PIXELS.values(), ids=PIXELS)
def test_the_conventions_are_as_told(pixel: tuple[int, ...], edited: set[str]) -> None:
    mask = Image.new("RGBA", (4, 1), pixel)
    # One pixel each that is edited, so that no mask selects nothing.
    for x, colour in ((2, (255, 255, 255, 255)), (3, (255, 255, 255, 0))):
        mask.putpixel((x, 0), colour)
    for convention in MaskConvention:
        plane = read_mask(encoded(mask, "PNG"), convention, 4, 1)
        assert (plane.edited().getpixel((0, 0)) == 255) == (convention in edited)


def test_qwen_is_routed_as_told() -> None:
    providers = ("openai", "openrouter", "siliconflow")
    catalog = load(None, providers, providers)
    routes = catalog.routes(catalog.find("qwen/qwen-image-edit"))
    assert [route.mask_method for route in routes if route.masked] == ["second_image"]


def test_the_pictures_are_what_the_code_makes_now(full_size: Gateway) -> None:
    made = render(full_size)
    shown = re.findall(r"\(pictures/(.*)\.jpg\)", PAGE)
    assert sorted(shown) == sorted(made)
    for name, sheet in made.items():
        file = DOCS / "pictures" / f"{name}.jpg"
        assert file.stat().st_size < 300_000
        with Image.open(file) as kept:
            assert kept.size == sheet.size
            assert max(ImageStat.Stat(ImageChops.difference(kept, sheet)).mean) < 4
