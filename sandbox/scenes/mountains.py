"""The landscape's mountains, in layers of haze."""

from __future__ import annotations

import itertools

from PIL import Image, ImageChops, ImageDraw

from sandbox import noise
from sandbox.noise import Dice
from sandbox.scenes.canvas import SHORE, Colour, H, Planes, W, gradient
from sandbox.scenes.firs import fir

Ridge = tuple[float, float, float, Colour, Colour]
# Ridges from far to near: base line and height as shares of H, roughness, colour at the top and
# in the haze at the foot.
RIDGES: tuple[Ridge, ...] = (
    (0.46, 0.20, 0.50, (196, 158, 170), (252, 206, 170)),
    (0.50, 0.17, 0.52, (158, 128, 158), (240, 186, 164)),
    (0.54, 0.15, 0.50, (116, 102, 142), (214, 160, 158)),
    (0.585, 0.11, 0.48, (74, 76, 118), (166, 128, 146)),
    (0.625, 0.075, 0.44, (40, 52, 86), (98, 88, 118)),
)


def profile(seed: str, roughness: float, count: int = 513) -> list[float]:
    """Return heights from 0 to 1 by midpoint displacement."""
    dice = Dice(seed)
    heights = [dice.between(0.2, 0.8) for _ in range(5)]
    spread = 0.42
    while len(heights) < count:
        finer = []
        for first, second in itertools.pairwise(heights):
            finer += [first, (first + second) / 2 + dice.between(-spread, spread) / 2]
        heights = [*finer, heights[-1]]
        spread *= roughness
    low, high = min(heights), max(heights)
    return [(height - low) / (high - low) for height in heights]


def ridge(planes: Planes, place: int, row: Ridge) -> None:
    """Draw a ridge and cover the sky behind it."""
    scene, sky = planes
    base, height, roughness, top, foot = row
    heights = profile(f"ridge {place}", roughness)
    step = W / (len(heights) - 1)
    points = [(x * step, (base - height * h) * H) for x, h in enumerate(heights)]
    outline = [*points, (W, SHORE), (0, SHORE)]
    shape = Image.new("L", (W, H), 0)
    ImageDraw.Draw(shape).polygon(outline, fill=255)
    crest = int(min(y for _, y in points))
    body = Image.new("RGB", (W, H))
    body.paste(
        gradient([(0.0, top), (0.35, top), (1.0, foot)], SHORE - crest).resize((W, SHORE - crest)),
        (0, crest),
    )
    body = faces(body, f"faces {place}", 0.34 - place * 0.045)
    scene.paste(body, mask=shape)
    sky.paste(0, mask=shape)
    if place == len(RIDGES) - 1:
        for x, y in points[::2]:
            tall = Dice(f"crest {x}").between(16, 44)
            fir(planes, f"crest {x}", (x, y + 14), tall, (40, 52, 86))


def faces(body: Image.Image, seed: str, strength: float) -> Image.Image:
    """Return the slope with the light and shade of its rocks, as if lit from the right."""
    rock = noise.clouds((W // 2 + 9, H // 2 + 5), seed, (260, 210), 6)
    lit, shaded = rock.crop((9, 5, *rock.size)), rock.crop((0, 0, W // 2, H // 2))
    relief = ImageChops.subtract(lit, shaded, 0.28, 128)
    relief = relief.resize((W, H), Image.Resampling.BICUBIC).convert("RGB")
    return Image.blend(body, ImageChops.soft_light(body, relief), strength * 2)
