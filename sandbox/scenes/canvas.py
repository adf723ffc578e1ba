"""The landscape's canvas: its size, its two planes, colours that run down a column."""

from __future__ import annotations

from PIL import Image

SIZE = (1536, 1024)
W, H = SIZE[0] * 2, SIZE[1] * 2  # drawn at twice the size, so that edges are smooth
SHORE = int(H * 0.635)
Colour = tuple[int, int, int]
Planes = tuple[Image.Image, Image.Image]  # the scene, and where sky is left (255)


def gradient(stops: list[tuple[float, Colour]], height: int) -> Image.Image:
    """Return a column, a pixel wide, that goes through colours at shares of its height."""
    column = Image.new("RGB", (1, height))
    for y in range(height):
        share = y / max(1, height - 1)
        after = next((i for i, stop in enumerate(stops) if stop[0] >= share), len(stops) - 1)
        (low, first), (high, second) = stops[max(0, after - 1)], stops[after]
        part = 0.0 if high == low else (share - low) / (high - low)
        red, green, blue = (round(a + (b - a) * part) for a, b in zip(first, second, strict=True))
        column.putpixel((0, y), (red, green, blue))
    return column
