"""The still life's fruit: shapes, skins and stalks."""

from __future__ import annotations

import math

from PIL import Image, ImageDraw

from sandbox import noise
from sandbox.scenes.lathe import Finish, Profile, through

PEAR_SHAPE = through(
    (0.0, 0.0),
    (0.015, 0.17),
    (0.06, 0.29),
    (0.15, 0.38),
    (0.30, 0.47),
    (0.45, 0.66),
    (0.60, 0.90),
    (0.72, 1.0),
    (0.84, 0.92),
    (0.94, 0.63),
    (0.985, 0.32),
    (1.0, 0.0),
)


def sphere(flat: float = 1.0, dimple: float = 0.0) -> Profile:
    """Return the profile of a ball; `flat` below 1 makes it squarer, `dimple` sinks its ends."""

    def profile(height: float) -> float:
        level = abs(2 * height - 1)
        return math.sqrt(max(0.0, 1 - math.pow(level, 2 / flat))) * (1 - dimple * (1 - level))

    return profile


def lemon(height: float) -> float:
    """Return a lemon's half-width at a height."""
    level = abs(2 * height - 1)
    ball = math.pow(max(0.0, 1 - math.pow(level / 0.9, 2.3)), 0.6)
    nub = 0.17 * math.sqrt(max(0.0, 1 - level**6))
    return max(ball, nub)


def skin(seed: str, cell: int, depth: int) -> Image.Image:
    """Return a skin's relief, with features of `cell` pixels, for a `Finish`."""
    return noise.smooth((600, 600), seed, (cell, cell), 128 - depth, 128 + depth)


def stalk(scene: Image.Image, foot: tuple[int, int], tall: int, seat: int = 34) -> None:
    """Draw a stalk, in a hollow `seat` pixels wide to each side."""
    x, y = foot
    draw = ImageDraw.Draw(scene)
    draw.ellipse((x - seat, y - 2, x + seat, y + 18), fill=(70, 52, 22))
    points = [(x, y + 10), (x + tall * 0.1, y - tall * 0.5), (x + tall * 0.4, y - tall)]
    draw.line(points, fill=(66, 44, 26), width=13, joint="curve")
    draw.line([(px - 3, py) for px, py in points], fill=(126, 94, 60), width=4)


ORANGE = Finish((120, 38, 6), (238, 122, 16), (255, 190, 84), 0.42, skin("peel", 5, 9))

RED_APPLE = Finish((58, 4, 10), (178, 24, 26), (242, 96, 70), 0.75, skin("apple", 40, 9))

GREEN_APPLE = Finish((44, 66, 10), (142, 172, 44), (220, 232, 132), 0.7, skin("green", 46, 9))

PEAR = Finish((84, 70, 10), (196, 178, 58), (244, 232, 142), 0.4, skin("pear", 9, 10))

LEMON = Finish((134, 92, 4), (244, 204, 34), (255, 244, 150), 0.5, skin("lemon", 6, 9))

PLUM = Finish((14, 6, 24), (60, 28, 66), (142, 112, 154), 0.45, skin("plum", 60, 12))
