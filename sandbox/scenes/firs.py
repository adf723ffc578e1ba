"""The landscape's firs, alone and in rows."""

from __future__ import annotations

import math

from PIL import ImageDraw

from sandbox.noise import Dice
from sandbox.scenes.canvas import Colour, Planes, W


def forest(planes: Planes, seed: str, foot: int, heights: tuple[int, int], colour: Colour) -> None:
    """Plant a row of firs along a shore."""
    dice = Dice(seed)
    x = -20.0
    while x < W + 20:
        wave = 0.75 + 0.45 * math.sin(x / 310) + 0.25 * math.sin(x / 97)
        tall = dice.between(*heights) * max(0.35, wave)
        fir(planes, f"{seed} {x:.0f}", (x, foot), tall, colour)
        x += tall * 0.34 * dice.between(0.5, 1.1)


def fir(planes: Planes, seed: str, foot: tuple[float, float], tall: float, colour: Colour) -> None:
    """Draw a fir: boughs that hang, wider towards the foot."""
    dice = Dice(seed)
    x, y = foot
    wide = tall * dice.between(0.15, 0.19)
    tiers = max(6, min(34, int(tall / 26)))
    left, right = [(x, y - tall)], [(x, y - tall)]
    for tier in range(1, tiers + 1):
        share = tier / tiers
        level = y - tall * (1 - share * 0.94)
        for side, edge in ((-1, left), (1, right)):
            reach = wide * share**0.85 * dice.between(0.72, 1.12)
            drop = tall / tiers * dice.between(0.15, 0.55)
            edge.append((x + side * reach, level + drop))
            edge.append((x + side * reach * dice.between(0.34, 0.5), level - drop * 0.2))
    trunk = tall * 0.012
    outline = [*left, (x - trunk, y - tall * 0.05), (x - trunk, y), (x + trunk, y)]
    outline += [(x + trunk, y - tall * 0.05), *reversed(right)]
    scene, sky = planes
    ImageDraw.Draw(scene).polygon(outline, fill=colour)
    ImageDraw.Draw(sky).polygon(outline, fill=0)
