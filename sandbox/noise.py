"""Deterministic noise: the same seed gives the same picture on every machine."""

from __future__ import annotations

from hashlib import shake_128

from PIL import Image, ImageChops

Size = tuple[int, int]


def white(size: Size, seed: str, low: int = 0, high: int = 255) -> Image.Image:
    """Return an "L" picture whose pixels are independent, even between `low` and `high`."""
    width, height = size
    grain = Image.frombytes("L", size, shake_128(seed.encode()).digest(width * height))
    return grain.point([low + value * (high - low + 1) // 256 for value in range(256)])


def smooth(size: Size, seed: str, cell: Size, low: int = 0, high: int = 255) -> Image.Image:
    """Return noise with features of about `cell` pixels, within `low` and `high`."""
    grid = (max(2, size[0] // cell[0] + 2), max(2, size[1] // cell[1] + 2))
    return white(grid, seed, low, high).resize(size, Image.Resampling.BILINEAR)


def clouds(size: Size, seed: str, cell: Size, octaves: int = 5) -> Image.Image:
    """Return fractal noise: each octave half as strong and half as large as the one before."""
    total = Image.new("L", size, 128)
    for octave in range(octaves):
        step = (max(1, cell[0] >> octave), max(1, cell[1] >> octave))
        grid = (size[0] // step[0] + 2, size[1] // step[1] + 2)
        layer = white(grid, f"{seed} {octave}").resize(size, Image.Resampling.BICUBIC)
        weak = layer.point([128 + (value - 128) // (2 << octave) for value in range(256)])
        total = ImageChops.add(total, weak, 1, -128)
    return total


class Dice:
    """A stream of numbers that depends on the seed alone."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._count = 0

    def between(self, low: float, high: float) -> float:
        """Return the next number, even between `low` and `high`."""
        self._count += 1
        digest = shake_128(f"{self._seed} {self._count}".encode()).digest(4)
        return low + (high - low) * int.from_bytes(digest) / 0xFFFFFFFF
