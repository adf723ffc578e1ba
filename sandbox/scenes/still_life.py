"""A sample picture, rendered: a bowl of fruit and a jug in the light of a window."""

from __future__ import annotations

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from sandbox.scenes.crockery import BOWL, bowl_back, bowl_front, jug, under_the_rim
from sandbox.scenes.fruit import (
    GREEN_APPLE,
    LEMON,
    ORANGE,
    PEAR,
    PEAR_SHAPE,
    PLUM,
    RED_APPLE,
    lemon,
    sphere,
    stalk,
)
from sandbox.scenes.lathe import turned
from sandbox.scenes.room import SIZE, S, stand, table, vignette, wall


def render() -> tuple[Image.Image, Image.Image]:
    """Return the picture ("RGB") and its mask ("L", 255 on the orange in the bowl)."""
    scene = table(wall())
    region = Image.new("L", scene.size, 0)
    jug(scene)
    bowl_back(scene)
    fruit(scene, region)
    under_the_rim(scene)
    bowl_front(scene, region)
    on_the_table(scene)
    scene = vignette(scene)
    return (
        scene.resize(SIZE, Image.Resampling.LANCZOS),
        region.resize(SIZE, Image.Resampling.LANCZOS),
    )


def fruit(scene: Image.Image, region: Image.Image) -> None:
    """Heap the fruit in the bowl, from the back to the front."""
    x, y = BOWL
    orange = turned((460, 460), sphere(), ORANGE)
    pear = turned((400, 560), PEAR_SHAPE, PEAR, -14)
    plum = turned((330, 330), sphere(), PLUM)
    apples = [turned((430, 420), sphere(1.08, 0.03), skin) for skin in (GREEN_APPLE, RED_APPLE)]
    heap = (
        (apples[0], x - 250, y - 160),
        (pear, x + 100, y - 270),
        (apples[1], x + 330, y - 110),
        (plum, x - 400, y - 30),
        (orange, x - 70, y - 90),
        (plum, x + 220, y + 10),
    )
    below = Image.new("L", scene.size, 0)  # no shadow on the wall, which is far behind
    ImageDraw.Draw(below).rectangle((0, y - 60, S, S), fill=255)
    below = below.filter(ImageFilter.GaussianBlur(60))
    for solid, middle, centre in heap:
        corner = (middle - solid.width // 2, centre - solid.height // 2)
        dark = Image.new("L", scene.size, 0)
        dark.paste(solid.getchannel("A"), (corner[0] + 26, corner[1] + 14))
        dark = dark.filter(ImageFilter.GaussianBlur(26)).point([v * 3 // 5 for v in range(256)])
        behind = solid is pear or solid in apples
        scene.paste((26, 12, 12), mask=ImageChops.multiply(dark, below) if behind else dark)
        scene.paste(solid, corner, solid)
        region.paste(255 if solid is orange else 0, corner, solid.getchannel("A"))
        if solid in apples:
            stalk(scene, (middle, corner[1] + 22), 64)
        elif solid is pear:
            stalk(scene, (corner[0] + solid.width - 108, corner[1] - 8), 70, seat=0)


def on_the_table(scene: Image.Image) -> None:
    """Lay a lemon, an orange and two plums in front."""
    stand(scene, turned((250, 380), lemon, LEMON, 66), int(S * 0.30), int(S * 0.895), 0.7)
    stand(scene, turned((400, 400), sphere(), ORANGE), int(S * 0.155), int(S * 0.865), 0.8)
    stand(scene, turned((250, 250), sphere(), PLUM), int(S * 0.79), int(S * 0.90), 0.8)
    stand(scene, turned((230, 230), sphere(), PLUM), int(S * 0.885), int(S * 0.865), 0.8)
