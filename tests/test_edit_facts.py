"""What an answer says of its picture is what the picture is: models, sizes, types, masks, counts.

`IMAGEEDIT_TEST_MATRIX=1` asks for every combination; otherwise a sample is drawn.
"""

from __future__ import annotations

import base64
import io
import itertools
import os
import random
from dataclasses import dataclass

import pytest
from PIL import Image, ImageChops

from tests.edits import Edit, by_http
from tests.pictures import decoded, encoded
from tests.running import Gateway
from tests.scenes import moved, scene

SIZE = (192, 128)
BOX = (60, 30, 130, 90)
SOURCE = scene("still life", SIZE)
MASK_LEVELS = Image.new("L", SIZE)
MASK_LEVELS.paste(255, BOX)
IMAGE, MASK = encoded(SOURCE, "PNG"), encoded(MASK_LEVELS, "PNG")
SECOND = encoded(scene("clouds", (64, 64)), "JPEG")

MODELS = {
    "openai/gpt-image-2": 16,
    "openai/gpt-image-1.5": 16,
    "openai/gpt-image-2.6-flare": 16,
    "black-forest-labs/flux-kontext-pro": 1,
    "black-forest-labs/flux-kontext-dev": 1,
    "qwen/qwen-image-edit": 1,
    "qwen/qwen-image-edit-2509": 3,
}
TRANSPARENT = {model for model in MODELS if model.startswith("openai/")}
SIZES = (None, "auto", "384x256", "300x200", "256x256")
FORMATS = ("png", "jpeg", "webp")
GROUNDS = (None, "auto", "opaque", "transparent")


@dataclass(frozen=True)
class Case:
    """One combination."""

    model: str
    size: str | None
    output_format: str
    background: str | None
    masked: bool
    pictures: int

    @property
    def edit(self) -> Edit:
        """The edit that asks for it."""
        asked = {
            "model": self.model,
            "prompt": "invert",
            "output_format": self.output_format,
            "size": self.size,
            "background": self.background,
        }
        fields = {name: value for name, value in asked.items() if value is not None}
        images = (IMAGE, *(SECOND,) * (self.pictures - 1))
        return Edit(fields, images, MASK if self.masked else None)

    @property
    def refused_for(self) -> str | None:
        """The field that makes it a 400."""
        if self.background == "transparent" and (
            self.output_format == "jpeg" or self.model not in TRANSPARENT
        ):
            return "background"
        takes_a_place = self.masked and "2509" in self.model
        return "image" if self.pictures + takes_a_place > MODELS[self.model] else None


EVERY = [
    Case(*each)
    for each in itertools.product(MODELS, SIZES, FORMATS, GROUNDS, (False, True), (1, 2, 3))
]
REFUSED = [case for case in EVERY if case.refused_for]
DONE = [case for case in EVERY if not case.refused_for]
ALL_OF_IT = bool(os.environ.get("IMAGEEDIT_TEST_MATRIX"))


def _sample(cases: list[Case], count: int) -> list[Case]:
    """Return some of `cases`, each model's in turn, the same ones each time."""
    if ALL_OF_IT:
        return cases
    shuffled = random.Random(7).sample(cases, len(cases))  # noqa: S311 - a sample, no secret
    ranks: dict[str, int] = {}
    ranked = []
    for case in shuffled:
        ranks[case.model] = ranks.get(case.model, 0) + 1
        ranked.append((ranks[case.model], case))
    return [case for _, case in sorted(ranked, key=lambda pair: pair[0])[:count]]


@pytest.mark.parametrize("case", _sample(DONE, 28), ids=str)
def test_what_is_said_is_what_is_there(gateway: Gateway, case: Case) -> None:
    response = by_http(gateway, case.edit)
    assert response.status_code == 200, response.text
    body = response.json()
    ignored = set(filter(None, response.headers.get("x-ignored-parameters", "").split(", ")))
    data = base64.b64decode(body["data"][0]["b64_json"])
    with Image.open(io.BytesIO(data)) as picture:
        assert body["output_format"] == (picture.format or "").lower() == case.output_format
        assert body["size"] == f"{picture.width}x{picture.height}"
        assert "icc_profile" not in picture.info
    assert body["model"] == case.model
    clear = decoded(data).getchannel("A").getextrema()[0] == 255
    assert body["background"] == ("opaque" if clear else "transparent")
    if case.size not in {None, "auto"}:
        assert (body["size"] == case.size) == ("size" not in ignored)
    else:
        assert "size" not in ignored
    if case.size in {"384x256", "300x200"}:  # the input's own shape, which every model keeps
        assert body["size"] == case.size
    if case.background == "transparent":
        assert (body["background"] == "transparent") == ("background" not in ignored)
        assert case.masked or body["background"] == "transparent"
    if case.background == "opaque":
        assert clear
    if case.masked:
        _check_the_mask(response.headers, data, case, body["size"])


def _check_the_mask(headers: object, data: bytes, case: Case, size: str) -> None:
    method, drift = headers["x-mask-method"], float(headers["x-mask-drift"])  # type: ignore[index]
    assert 0 < drift < 1
    if case.size == "256x256":
        assert method.endswith(";unaligned")
        return
    assert not method.endswith(";unaligned")
    canvas = tuple(map(int, size.split("x")))
    assert canvas == (SIZE if case.size in {None, "auto"} else canvas)
    if case.output_format == "jpeg":
        return
    before = SOURCE.convert("RGBA").resize(canvas, Image.Resampling.LANCZOS)
    keep = MASK_LEVELS.resize(canvas, Image.Resampling.NEAREST).point([255] + [0] * 255)
    nothing = Image.new("RGBA", canvas)
    change = ImageChops.difference(before, decoded(data))
    outside = Image.composite(change, nothing, keep)
    assert outside.getextrema() == nothing.getextrema()
    inside = change.convert("RGB").convert("L").point([0] + [255] * 255)
    inside = Image.composite(inside, Image.new("L", canvas), keep.point([255] + [0] * 255))
    assert inside.histogram()[255] >= 0.9 * keep.histogram()[0]


@pytest.mark.parametrize("case", _sample(REFUSED, 14), ids=str)
def test_what_cannot_be_is_a_400_that_names_the_field(gateway: Gateway, case: Case) -> None:
    response = by_http(gateway, case.edit)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == case.refused_for


def test_a_transparency_that_never_came_is_said(gateway: Gateway) -> None:
    fields = {"prompt": "sepia [sandbox opaque]", "background": "transparent"}
    response = by_http(gateway, Edit(fields, (IMAGE,)))
    assert response.json()["background"] == "opaque"
    assert response.headers["x-ignored-parameters"] == "background"


LARGE = scene("landscape", (512, 384))
LARGE_MASK = Image.new("L", LARGE.size)
LARGE_MASK.paste(255, (150, 90, 330, 260))

# What real models do to the frame, as the sandbox does it, and whether the input is put back.
ANSWERS = {
    "": True,
    "shift=6": True,
    "scale=1.015": True,
    "size=50": True,
    "size=130 shift=5": True,
    "soft=30": True,
    "redrawn": True,
    "noise": True,
    "jpeg": True,
    "mirror": False,
    "scale=1.25": False,
    "shift=150": False,
    "square": False,
}


@pytest.mark.parametrize(("directive", "put_back"), ANSWERS.items(), ids=ANSWERS)
def test_whatever_a_model_answers_the_promise_holds_or_is_taken_back(
    full_size: Gateway, directive: str, put_back: bool
) -> None:
    model = "black-forest-labs/flux-kontext-pro" if directive == "redrawn" else None
    fields = {"prompt": f"invert [sandbox {directive}]", "size": "auto"}
    fields |= {"model": model or "openai/gpt-image-2"}
    mask = encoded(LARGE_MASK, "PNG")
    response = by_http(full_size, Edit(fields, (encoded(LARGE, "PNG"),), mask))
    assert response.status_code == 200, response.text
    assert response.headers["x-mask-method"].endswith(";unaligned") != put_back
    assert 0.005 < float(response.headers["x-mask-drift"]) < 1
    after = decoded(base64.b64decode(response.json()["data"][0]["b64_json"]), "RGB")
    if put_back:
        outside = ImageChops.difference(LARGE, after)
        outside.paste(0, mask=LARGE_MASK)
        assert outside.getbbox() is None


def test_a_scene_that_was_moved_is_known_by_its_colours_in_place() -> None:
    """The material above is what it says."""
    there = moved(LARGE, (6, 0)).getpixel((206, 200))
    assert all(abs(a - b) <= 1 for a, b in zip(there, LARGE.getpixel((200, 200)), strict=True))
