"""The landscape's evening sky: its colours, clouds, and the sun that lights them."""

from __future__ import annotations

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

from sandbox import noise
from sandbox.scenes.canvas import SHORE, Colour, H, W, gradient

SUN = (int(W * 0.392), int(H * 0.345))


def sky() -> Image.Image:
    """Return the sky, as far down as the shore."""
    stops: list[tuple[float, Colour]] = [
        (0.0, (44, 74, 128)),
        (0.22, (96, 118, 168)),
        (0.45, (196, 160, 178)),
        (0.68, (250, 190, 150)),
        (1.0, (255, 222, 168)),
    ]
    scene = gradient(stops, SHORE).resize((W, H))
    clouds(scene)
    scene = glow(scene, 1.0)
    disc = Image.new("L", (W, H), 0)
    x, y = SUN
    ImageDraw.Draw(disc).ellipse((x - 88, y - 88, x + 88, y + 88), fill=255)
    scene.paste((255, 247, 222), mask=disc.filter(ImageFilter.GaussianBlur(5)))
    return scene


def clouds(scene: Image.Image) -> None:
    """Paint streaks of cloud, lit from below by the sun."""
    for seed, low, strength, colour in (
        ("high", 128, 3.2, (255, 200, 186)),
        ("low", 138, 4.0, (255, 224, 192)),
    ):
        field = noise.clouds((W // 2, H // 2), seed, (520, 70), 6)
        field = field.point([max(0, min(215, int((v - low) * strength))) for v in range(256)])
        fade = gradient(
            [(0.0, (60,) * 3), (0.3, (255,) * 3), (0.75, (0,) * 3), (1.0, (0,) * 3)], H // 2
        )
        field = ImageChops.multiply(field, fade.convert("L").resize(field.size))
        scene.paste(colour, mask=field.resize((W, H), Image.Resampling.BICUBIC))


def glow(scene: Image.Image, strength: float) -> Image.Image:
    """Return the scene with the sun's light spread over it."""
    for radius, colour in ((1500, (150, 74, 34)), (620, (150, 96, 48)), (240, (170, 130, 84))):
        light = ImageOps.invert(Image.radial_gradient("L")).point(
            [int(255 * (max(0, v - 60) / 195) ** 2 * strength) for v in range(256)]
        )
        light = light.resize((radius * 2, radius * 2), Image.Resampling.BICUBIC)
        plane = Image.new("L", (W, H), 0)
        plane.paste(light, (SUN[0] - radius, SUN[1] - radius))
        tone = ImageOps.colorize(plane, (0, 0, 0), colour)
        scene = ImageChops.screen(scene, tone)
    return scene
