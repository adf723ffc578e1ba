"""Edits that can be seen, masks that are hints, and drift outside them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PIL import Image, ImageChops, ImageStat

from sandbox import effects, noise, painting, sizes
from sandbox.server import SandboxServer
from tests.sandbox_client import file, mask, openai, part, picture, result

SCENE = Image.merge("RGB", [noise.smooth((160, 120), band, (9, 9)) for band in "rgb"])
WORDS = [
    "watercolor",
    "as a Watercolour painting",
    "a pencil sketch",
    "sunset",
    "make it warmer",
    "snowy",
    "cold",
    "night",
    "grayscale",
    "black and white",
    "sepia",
    "invert the colours",
    "blur",
    "posterize",
    "pixelate",
    "brighter",
    "darker",
    "a blue hat",
    "add a hat",
    "",
]


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxServer]:
    with SandboxServer() as running:
        yield running


def mean(image: Image.Image) -> list[float]:
    return ImageStat.Stat(image).mean


@pytest.mark.parametrize("words", WORDS)
def test_every_prompt_changes_the_picture_and_always_the_same_way(words: str) -> None:
    edited = effects.apply(words, SCENE)
    assert (edited.mode, edited.size) == ("RGB", SCENE.size)
    assert max(mean(ImageChops.difference(SCENE, edited))) > 3
    assert effects.apply(words, SCENE).tobytes() == edited.tobytes()


def test_effects_do_what_their_words_say() -> None:
    red, green, blue = effects.apply("grayscale", SCENE).split()
    assert red.tobytes() == green.tobytes() == blue.tobytes()
    assert mean(effects.apply("brighter", SCENE)) > mean(SCENE) > mean(effects.apply("dark", SCENE))
    assert effects.apply("invert", SCENE).tobytes() == ImageChops.invert(SCENE).tobytes()
    warm, cold = mean(effects.apply("sunset", SCENE)), mean(effects.apply("snow", SCENE))
    assert warm[0] - warm[2] > 20
    assert cold[2] > cold[0]
    blue_tint = mean(effects.apply("turn the green sofa blue", SCENE))
    assert blue_tint[2] > max(blue_tint[:2])


def test_prompts_without_a_known_word_differ() -> None:
    tints = {effects.apply(f"add {noun}", SCENE).tobytes() for noun in ("a hat", "a dog", "rain")}
    assert len(tints) == 3


def test_drift_changes_every_pixel_a_little() -> None:
    for base in (SCENE, Image.new("RGB", (50, 40)), Image.new("RGB", (50, 40), "white")):
        for band in ImageChops.difference(base, painting.drifted(base)).split():
            low, high = band.getextrema()
            assert (low >= 3, high <= 8) == (True, True)


def test_a_mask_is_a_hint(server: SandboxServer) -> None:
    image = picture((1024, 1024))
    box = (0, 0, 512, 1024)
    files = [part(file(image)), part(mask((1024, 1024), box), name="mask")]
    edited = result(openai(server, *files, prompt="invert"))
    change = ImageChops.difference(image, edited)
    for band in change.crop((530, 0, 1024, 1024)).split():
        low, high = band.getextrema()
        assert (low >= 3, high <= 8) == (True, True)
    assert max(mean(change.crop((0, 0, 480, 1024)))) > 60


def test_noise_reaches_beyond_the_mask(server: SandboxServer) -> None:
    image = picture((1024, 1024))
    files = [part(file(image)), part(mask((1024, 1024), (0, 0, 9, 9)), name="mask")]
    edited = result(openai(server, *files, prompt="invert [sandbox noise]"))
    change = ImageChops.difference(image, edited).crop((100, 100, 1024, 1024))
    assert min(low for low, _ in change.getextrema()) >= 20


def test_pictures_with_alpha_and_gray_ones_can_be_edited(server: SandboxServer) -> None:
    for mode in ("L", "LA", "RGBA"):
        assert result(openai(server, part(file(picture(mode=mode))))).mode == "RGB"


@pytest.mark.parametrize("aspect", [(1536, 1024), (1000, 999), (16, 9), (997, 613), (300, 700)])
def test_a_megapixel_keeps_the_aspect_ratio(aspect: tuple[int, int]) -> None:
    width, height = sizes.megapixel(*aspect)
    assert width % 16 == height % 16 == 0
    assert abs(width / height / (aspect[0] / aspect[1]) - 1) < 0.01
    assert 0.85 <= width * height / 1024**2 <= 1.15


def test_models_do_to_the_frame_what_they_are_told(server: SandboxServer) -> None:
    image = picture((1024, 1024))
    plain = result(openai(server, part(file(image)), prompt="invert"))
    mirrored = result(openai(server, part(file(image)), prompt="invert [sandbox mirror]"))
    assert mirrored.tobytes() == plain.transpose(Image.Transpose.FLIP_LEFT_RIGHT).tobytes()
    half = result(openai(server, part(file(image)), prompt="invert [sandbox size=50]"))
    assert half.size == (512, 512)
    clear = openai(server, background="transparent", prompt="invert [sandbox opaque]")
    assert result(clear).mode == "RGB"


def test_a_mask_may_be_taken_softly_or_not_at_all(server: SandboxServer) -> None:
    image = picture((1024, 1024))
    files = [part(file(image)), part(mask((1024, 1024), (0, 0, 512, 1024)), name="mask")]
    change = {
        words: ImageChops.difference(
            image, result(openai(server, *files, prompt=f"invert [sandbox {words}]"))
        )
        for words in ("jpeg", "soft=40", "redrawn")
    }
    far, near = (800, 0, 1024, 1024), (530, 0, 550, 1024)
    assert max(mean(change["jpeg"].crop(near))) < 12 < max(mean(change["soft=40"].crop(near)))
    assert max(mean(change["soft=40"].crop(far))) < 12
    assert max(mean(change["redrawn"].crop(far))) > 60
