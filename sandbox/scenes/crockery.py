"""The still life's crockery: a stoneware jug with twigs, a glazed bowl."""

from __future__ import annotations

import math

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

from sandbox.noise import Dice
from sandbox.scenes.fruit import skin
from sandbox.scenes.lathe import Finish, standing, through, turned
from sandbox.scenes.room import S, shadow, stand

BOWL = (int(S * 0.575), int(S * 0.555))  # the middle of the rim
RIM = (int(S * 0.275), int(S * 0.072))  # its half axes
JUG_SHAPE = through(
    (0.0, 0.53),
    (0.03, 0.53),
    (0.10, 0.44),
    (0.18, 0.42),
    (0.27, 0.56),
    (0.42, 0.90),
    (0.54, 1.0),
    (0.70, 0.93),
    (0.85, 0.74),
    (1.0, 0.56),
)

BOWL_SHAPE = through(
    (0.0, 1.0),
    (0.2, 0.965),
    (0.4, 0.88),
    (0.6, 0.74),
    (0.75, 0.58),
    (0.85, 0.44),
    (0.90, 0.39),
    (1.0, 0.42),
)

GLAZE = Finish((86, 98, 118), (206, 212, 216), (255, 253, 246), 0.6)

STONE = Finish((26, 48, 54), (78, 122, 124), (176, 208, 196), 0.35, skin("stone", 4, 5))


def jug(scene: Image.Image) -> None:
    """Put a stoneware jug with twigs at the left."""
    dice = Dice("twigs")
    middle, foot = int(S * 0.215), int(S * 0.715)
    for bend in (-0.17, -0.06, 0.05, 0.16, 0.26):
        _twig(scene, dice, (middle + bend * 160, S * 0.335), bend)
    body = standing(turned((int(S * 0.27), int(S * 0.41)), JUG_SHAPE, STONE), 0.62, 46)
    stand(scene, body, middle, foot, 0.9)
    top = foot - body.height
    lip = (middle - body.width * 0.265, top - 16, middle + body.width * 0.265, top + 30)
    ImageDraw.Draw(scene).ellipse(lip, fill=(20, 34, 38), outline=(150, 186, 178), width=7)
    for bend in (-0.10, 0.02, 0.13):
        _twig(scene, dice, (middle + bend * 240, top + 8), bend * 1.2)


def _twig(scene: Image.Image, dice: Dice, root: tuple[float, float], bend: float) -> None:
    """Draw a twig with leaves on both sides, like an olive's."""
    length = S * dice.between(0.20, 0.30)
    points = []
    for step in range(15):
        share = step / 14
        angle = bend * 2.2 * share + bend
        points.append(
            (root[0] + math.sin(angle) * length * share, root[1] - math.cos(angle) * length * share)
        )
    draw = ImageDraw.Draw(scene)
    draw.line(points, fill=(74, 62, 44), width=7, joint="curve")
    for place, (x, y) in enumerate(points[2:]):
        for side in (-1, 1):
            long = dice.between(78, 122) * (1 - place * 0.035)
            angle = bend * 3 + side * dice.between(0.6, 1.2)
            tip = (x + math.sin(angle) * long, y - math.cos(angle) * long)
            across = (math.cos(angle) * long * 0.13, math.sin(angle) * long * 0.13)
            mid = (x + (tip[0] - x) * 0.45, y + (tip[1] - y) * 0.45)
            tone = dice.between(0.72, 1.12) * (1.12 if side < 0 else 0.86)
            colour = tuple(int(value * tone) for value in (106, 128, 92))
            edge = [(x, y), (mid[0] - across[0], mid[1] - across[1]), tip]
            draw.polygon([*edge, (mid[0] + across[0], mid[1] + across[1])], fill=colour)
            draw.line([(x, y), tip], fill=tuple(int(value * 1.22) for value in colour), width=3)


def _rim(grow: int = 0) -> tuple[int, int, int, int]:
    """Return the box of the rim's ellipse, a few pixels larger."""
    x, y = BOWL
    return x - RIM[0] - grow, y - RIM[1] - grow, x + RIM[0] + grow, y + RIM[1] + grow


def bowl_back(scene: Image.Image) -> None:
    """Draw the bowl's shadow and the inside of its far wall."""
    x, y = BOWL
    shadow(scene, (x + 330, y + 400), (640, 118), 150, 60)
    shadow(scene, (x + 40, y + 428), (330, 56), 220, 26)
    inside = Image.linear_gradient("L").rotate(90).resize((RIM[0] * 2, RIM[1] * 2))
    inside = ImageOps.colorize(inside, (84, 92, 108), (226, 226, 222))
    shape = Image.new("L", inside.size, 0)
    ImageDraw.Draw(shape).ellipse((0, 0, inside.width - 1, inside.height - 1), fill=255)
    scene.paste(inside, _rim()[:2], shape)
    ImageDraw.Draw(scene).arc(_rim(7), 178, 362, fill=(240, 240, 236), width=15)


def bowl_front(scene: Image.Image, region: Image.Image) -> None:
    """Draw the bowl's near wall over the fruit: white glaze with two blue bands."""
    x, y = BOWL
    deep = int(S * 0.205)
    body = standing(turned((RIM[0] * 2, deep), BOWL_SHAPE, GLAZE), 0.45, 52)
    bands = Image.new("RGB", body.size, (255, 255, 255))
    draw = ImageDraw.Draw(bands)
    for level, width in ((0.10, 26), (0.19, 9)):
        half = BOWL_SHAPE(level) * RIM[0]
        flat = RIM[1] * BOWL_SHAPE(level)
        middle = level * deep
        box = (RIM[0] - half, middle - flat, RIM[0] + half, middle + flat)
        draw.arc(box, 0, 180, fill=(58, 92, 158), width=width)
    alpha = body.getchannel("A")
    opening = ImageDraw.Draw(alpha)
    opening.ellipse((0, -RIM[1], body.width, RIM[1]), fill=0)
    painted = ImageChops.multiply(body.convert("RGB"), bands)
    scene.paste(painted, (x - RIM[0], y), alpha)
    region.paste(0, (x - RIM[0], y), alpha)
    draw = ImageDraw.Draw(scene)
    draw.arc(_rim(7), -6, 186, fill=(250, 249, 244), width=17)
    draw.arc(_rim(-8), 4, 176, fill=(150, 158, 172), width=4)
    ImageDraw.Draw(region).arc(_rim(7), 0, 180, fill=0, width=17)


def under_the_rim(scene: Image.Image) -> None:
    """Darken the fruit where it goes down behind the bowl's near wall."""
    plane = Image.new("L", scene.size, 0)
    ImageDraw.Draw(plane).arc(_rim(10), 12, 168, fill=210, width=70)
    scene.paste((30, 12, 16), mask=plane.filter(ImageFilter.GaussianBlur(30)))
