"""The landscape's lake: a mirror with ripples, the sun's path, a boat, and the bank in front."""

from __future__ import annotations

import math

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

from sandbox import noise
from sandbox.noise import Dice
from sandbox.scenes.canvas import SHORE, H, W, gradient
from sandbox.scenes.heavens import SUN
from sandbox.scenes.mountains import profile


def lake(scene: Image.Image) -> None:
    """Mirror the scene below the shore: darker, blurred, in ripples that grow towards us."""
    depth = H - SHORE
    mirror = ImageOps.flip(scene.crop((0, SHORE - int(depth * 1.35), W, SHORE))).resize((W, depth))
    mirror = mirror.filter(ImageFilter.BoxBlur((2, 7)))
    water = Image.new("RGB", (W, depth))
    dice = Dice("ripples")
    phase = 0.0
    for y in range(depth):
        near = y / depth
        phase += 0.55 - 0.42 * near
        swing = (1.5 + 15 * near) * math.sin(phase) + dice.between(-1, 1) * (1 + 4 * near)
        lift = int((1 + 11 * near) * math.sin(phase * 0.7 + 1))
        source = min(max(0, y + lift), depth - 1)
        water.paste(
            ImageChops.offset(mirror.crop((0, source, W, source + 1)), int(swing), 0), (0, y)
        )
    water = water.filter(ImageFilter.GaussianBlur(1.6))
    deep = gradient([(0.0, (206, 190, 196)), (0.5, (150, 156, 182)), (1.0, (74, 92, 126))], depth)
    water = ImageChops.multiply(water, deep.resize((W, depth)))
    scene.paste(glitter(water), (0, SHORE))
    mist = Image.new("L", (W, H), 0)
    ImageDraw.Draw(mist).rectangle((0, SHORE - 16, W, SHORE + 12), fill=120)
    scene.paste((255, 214, 180), mask=mist.filter(ImageFilter.GaussianBlur(22)))


def glitter(water: Image.Image) -> Image.Image:
    """Return the water with the sun's path on it."""
    depth = water.height
    field = noise.clouds((W // 2, depth), "glitter", (90, 10), 4)
    field = field.point([max(0, min(255, (v - 132) * 9)) for v in range(256)])
    path = Image.new("L", (W // 2, depth), 0)
    x = SUN[0] // 2
    spread = [(x - 26, 0), (x + 26, 0), (x + 190, depth), (x - 190, depth)]
    ImageDraw.Draw(path).polygon(spread, fill=235)
    path = path.filter(ImageFilter.GaussianBlur(38))
    light = ImageChops.multiply(field, path).resize(water.size, Image.Resampling.BICUBIC)
    return ImageChops.screen(water, ImageOps.colorize(light, (0, 0, 0), (255, 214, 150)))


def boat(scene: Image.Image) -> None:
    """Draw a rowing boat with a rower, and both once more in the water."""
    x, y, dark = W * 0.505, H * 0.745, (20, 24, 40)
    draw = ImageDraw.Draw(scene, "RGBA")
    hull = [(-120, -18), (-84, -2), (84, -2), (126, -22), (96, 24), (62, 34), (-66, 34), (-98, 20)]
    man = [
        (-22, 0),
        (-26, -44),
        (-14, -62),
        (8, -62),
        (18, -44),
        (40, -22),
        (30, -12),
        (12, -26),
        (14, 0),
    ]
    for flip, alpha in ((1, 255), (-0.7, 150)):
        base = y + 34
        for shape in (hull, man):
            points = [(x + px, base + (py - 34) * flip) for px, py in shape]
            draw.polygon(points, fill=(*dark, alpha))
        head = sorted((base + (-86 - 34) * flip, base + (-58 - 34) * flip))
        draw.ellipse((x - 15, head[0], x + 11, head[1]), fill=(*dark, alpha))
        oar = [(x + 24, base + (-24 - 34) * flip), (x + 196, base + (22 - 34) * flip)]
        draw.line(oar, fill=(*dark, alpha), width=6)
    for offset, length in ((44, 210), (60, 300), (82, 240)):
        draw.line(
            (x - length, y + offset, x + length * 0.8, y + offset),
            fill=(255, 226, 190, 46),
            width=4,
        )


def bank(scene: Image.Image) -> None:
    """Draw the bank in front, with grass."""
    heights = profile("bank", 0.5, 257)
    points = []
    for place, height in enumerate(heights):
        across = place / (len(heights) - 1)
        bowl = 0.105 * (2 * abs(across - 0.55)) ** 2.2
        points.append((across * W, H * (0.985 - bowl - 0.02 * height)))
    draw = ImageDraw.Draw(scene)
    draw.polygon([*points, (W, H), (0, H)], fill=(9, 15, 25))
    dice = Dice("grass")
    for x, y in points:
        for _ in range(9):
            foot, tall = x + dice.between(-8, 8), dice.between(18, 62)
            lean = dice.between(-20, 20)
            blade = [(foot - 3, y + 12), (foot + lean, y - tall), (foot + 3, y + 12)]
            draw.polygon(blade, fill=(9, 15, 25))
