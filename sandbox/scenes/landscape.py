"""A sample picture, rendered: mountains in the haze of an evening, a lake, firs, a boat."""

from __future__ import annotations

from PIL import Image, ImageDraw, ImageEnhance

from sandbox.scenes.canvas import SHORE, SIZE, H, W
from sandbox.scenes.firs import fir, forest
from sandbox.scenes.heavens import glow
from sandbox.scenes.heavens import sky as evening
from sandbox.scenes.lake import bank, boat, lake
from sandbox.scenes.mountains import RIDGES, ridge


def render() -> tuple[Image.Image, Image.Image]:
    """Return the picture ("RGB") and its mask ("L", 255 on the sky)."""
    sky = Image.new("L", (W, H), 0)
    ImageDraw.Draw(sky).rectangle((0, 0, W, SHORE), fill=255)
    scene = evening()
    for place, row in enumerate(RIDGES):
        ridge((scene, sky), place, row)
    forest((scene, sky), "far shore", SHORE + 4, (40, 118), (26, 40, 64))
    scene = glow(scene, 0.34)
    lake(scene)
    boat(scene)
    bank(scene)
    for x, height in ((0.035, 0.80), (0.105, 0.62), (0.165, 0.40), (0.955, 0.66)):
        fir((scene, sky), f"near {x}", (x * W, H * 0.985), height * H, (9, 16, 27))
    for x, height in ((0.895, 0.42), (0.995, 0.50), (-0.01, 0.55), (0.205, 0.23)):
        fir((scene, sky), f"near {x}", (x * W, H * 0.99), height * H, (12, 21, 34))
    picture = ImageEnhance.Color(scene.resize(SIZE, Image.Resampling.LANCZOS)).enhance(1.08)
    return picture, sky.resize(SIZE, Image.Resampling.LANCZOS)
