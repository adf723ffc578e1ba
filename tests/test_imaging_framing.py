"""Whether the model kept the frame: small moves are found and undone, others told, none guessed."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import cycle, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageDraw, ImageStat

from sandbox import effects, noise, painting
from server.imaging.framing import find_placement
from server.imaging.placement import Placement
from tests import whole
from tests.finishing import boxed, checked, finished
from tests.pictures import decoded, encoded
from tests.scenes import SCENES, moved, scene

STILL = Placement()


def _everything(picture: Image.Image) -> Image.Image:
    return Image.new("L", picture.size, 255)


def _found(source: Image.Image, model: Image.Image) -> Placement | None:
    return find_placement(source, model, _everything(source))


def _off(found: Placement, size: tuple[int, int], shift: tuple[float, float],
         stretch: tuple[float, float]) -> float:  # fmt: skip
    """Return by how many pixels a placement is wrong anywhere on the canvas."""
    axes = (
        (found.stretch_x, found.shift_x, size[0], shift[0], stretch[0]),
        (found.stretch_y, found.shift_y, size[1], shift[1], stretch[1]),
    )
    return max(
        abs((by * place + to) * side - (wanted * place * side + true))
        for by, to, side, true, wanted in axes
        for place in (0, 1)
    )


_shifts = st.floats(-8, 8)
_stretches = st.floats(0.98, 1.02)


@settings(max_examples=whole.of(15, 4))
@given(
    name=st.sampled_from(SCENES),
    size=st.sampled_from(((512, 384), (300, 400), (640, 640), (1100, 700))),
    shift=st.tuples(_shifts, _shifts),
    stretch=st.tuples(_stretches, _stretches),
    corner=st.tuples(st.floats(0, 0.7), st.floats(0, 0.7)),
)
def test_a_small_move_is_found_to_half_a_pixel(
    name: str,
    size: tuple[int, int],
    shift: tuple[float, float],
    stretch: tuple[float, float],
    corner: tuple[float, float],
) -> None:
    source = scene(name, size)
    model = painting.drifted(moved(source, shift, stretch))
    left, top = round(corner[0] * size[0]), round(corner[1] * size[1])
    edited = (left, top, left + size[0] // 3, top + size[1] // 3)
    model.paste("red", edited)
    keep = _everything(source)
    keep.paste(0, edited)
    found = find_placement(source, model, keep)
    assert found is not None
    if found == STILL:  # too little to see, or to be sure of
        assert _off(STILL, size, shift, stretch) < 1.6
    else:
        assert _off(found, size, shift, stretch) < 0.5


@pytest.mark.parametrize(("name", "step"), [*zip(SCENES * 3, range(9), strict=True)])
def test_a_shift_by_whole_pixels_is_undone(name: str, step: int) -> None:
    source = scene(name, (400, 300))
    keep = boxed(400, 300, 120, 90, 240, 200)
    model = painting.drifted(moved(source, (step, -step)))
    original = checked(source)
    result = finished(encoded(model, "PNG"), original=original, plane=keep)
    assert not result.unaligned
    after = decoded(result.picture.data, "RGB")
    outside = ImageChops.difference(source, after)
    outside.paste(0, (120, 90, 240, 200))
    assert outside.getbbox() is None
    # Inside, too, everything is back where it was, but for the colours that drifted by 3 to 8.
    box = (124, 94, 236, 196)
    wrong = ImageStat.Stat(ImageChops.difference(source.crop(box), after.crop(box))).mean
    assert max(wrong) < 8.5
    hint = finished(encoded(model, "PNG"), original=original, plane=keep, exact=False)
    assert hint.drift == result.drift
    assert (hint.unaligned, decoded(hint.picture.data, "RGB") == model) == (False, True)


def scenes_and(what: Iterable[str]) -> list[tuple[str, str]]:
    """Return every scene with each of `what`, or each of them with one of the scenes in turn."""
    return whole.of(list(product(SCENES, what)), list(zip(cycle(SCENES), what, strict=False)))


def _zoomed(source: Image.Image, left: float, top: float, part: float) -> Image.Image:
    width, height = source.size
    box = (left * width, top * height, (left + part) * width, (top + part) * height)
    return source.resize(source.size, Image.Resampling.BICUBIC, box=box)


def _shrunk(source: Image.Image) -> Image.Image:
    canvas = Image.new("RGB", source.size, "gray")
    inner = source.resize((source.width * 4 // 5, source.height * 4 // 5))
    canvas.paste(inner, (source.width // 10, source.height // 10))
    return canvas


OTHER_FRAMES = {
    "mirrored": lambda p: p.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "upside down": lambda p: p.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
    "turned round": lambda p: p.transpose(Image.Transpose.ROTATE_180),
    "mirrored and at night": lambda p: effects.apply(
        "night", p.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    ),
    "zoomed in": lambda p: _zoomed(p, 0.1, 0.1, 0.8),
    "a corner of it": lambda p: _zoomed(p, 0, 0, 0.75),
    "zoomed out": _shrunk,
    "moved far": lambda p: ImageChops.offset(p, p.width // 8, p.height // 12),
}


@pytest.mark.parametrize(("name", "frame"), scenes_and(OTHER_FRAMES))
def test_another_frame_is_told(name: str, frame: str) -> None:
    source = scene(name, (480, 360))
    model = painting.drifted(OTHER_FRAMES[frame](source))
    assert _found(source, model) is None
    result = finished(
        encoded(model, "PNG"), original=checked(source), plane=boxed(480, 360, 0, 0, 90, 90)
    )
    assert result.unaligned
    assert result.drift > 0.02
    assert decoded(result.picture.data, "RGB") == model


def _stripes() -> Image.Image:
    picture = Image.new("RGB", (512, 400))
    for x in range(0, 512, 16):
        picture.paste("white", (x, 0, x + 8, 400))
    return picture


def _white_noise(seed: str) -> Image.Image:
    return Image.merge("RGB", [noise.white((512, 400), band + seed) for band in "rgb"])


def _disc() -> Image.Image:
    picture = Image.new("RGB", (512, 400), "navy")
    ImageDraw.Draw(picture).ellipse((230, 180, 250, 200), fill="white")
    return picture


_RAMP = Image.linear_gradient("L").convert("RGB").resize((512, 400))
NOTHING_TO_GO_BY = {
    "two flat colours": (Image.new("RGB", (512, 400), "red"), Image.new("RGB", (512, 400), "blue")),
    "a flat answer": (scene("landscape", (512, 400)), Image.new("RGB", (512, 400), "red")),
    "a flat input": (Image.new("RGB", (512, 400), "red"), scene("landscape", (512, 400))),
    "a slow gradient": (_RAMP, ImageChops.offset(_RAMP, 9, 9)),
    "stripes moved by half a stripe": (_stripes(), ImageChops.offset(_stripes(), 8, 0)),
    "another scene": (scene("landscape", (512, 400)), scene("still life", (512, 400))),
    "noise and other noise": (_white_noise("a"), _white_noise("b")),
    "a scene and noise": (scene("clouds", (512, 400)), _white_noise("b")),
    "one small thing, gone": (_disc(), Image.new("RGB", (512, 400), "navy")),
    "hardly any pixels": (scene("clouds", (100, 80)), moved(scene("clouds", (100, 80)), (8, 8))),
}


@pytest.mark.parametrize("case", NOTHING_TO_GO_BY)
def test_nothing_is_guessed(case: str) -> None:
    """What tells nothing is pasted where it is: that is what `exact` promises."""
    assert _found(*NOTHING_TO_GO_BY[case]) == STILL


@pytest.mark.parametrize(
    ("name", "words"), scenes_and(["watercolor", "night", "invert", "sketch", "snow", "sepia"])
)
def test_a_picture_wholly_redrawn_in_its_place_stays_there(name: str, words: str) -> None:
    source = scene(name, (480, 360))
    assert _found(source, effects.apply(words, source)) == STILL
    assert _found(source, painting.drifted(source, 40, 120)) == STILL


def test_where_nothing_is_protected_there_is_no_frame_to_keep() -> None:
    source = scene("clouds", (400, 300))
    mirrored = source.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    plane = boxed(400, 300, 0, 0, 400, 300)
    result = finished(encoded(mirrored, "PNG"), original=checked(source), plane=plane)
    assert (result.unaligned, result.drift) == (False, 0.0)
