"""What people type for shapes and colours: "x,y,w,h", "x,y x,y x,y", "#rrggbb"."""

from __future__ import annotations

import re

import click

from server.sizes import MAX_EDGE

_NUMBER = re.compile(r"[+-]?[0-9]{1,6}")
_COLOUR = re.compile(r"#?([0-9a-fA-F]{6})")


class Box(click.ParamType[tuple[int, int, int, int]]):
    """A box in pixels: left, top, width, height."""

    name = "x,y,w,h"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int, int, int]:
        """Return the four numbers."""
        numbers = _numbers(str(value))
        if numbers is None or len(numbers) != 4 or min(numbers[2:]) < 1:
            self.fail(f'"{value}" must be left,top,width,height in pixels: 10,20,300,200')
        return numbers[0], numbers[1], numbers[2], numbers[3]


class Points(click.ParamType[tuple[tuple[int, int], ...]]):
    """Three points or more, in pixels."""

    name = "x,y x,y …"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[tuple[int, int], ...]:
        """Return the points."""
        pairs = [_numbers(pair) for pair in str(value).split()]
        points = tuple((pair[0], pair[1]) for pair in pairs if pair and len(pair) == 2)
        if len(points) < 3 or len(points) != len(pairs):
            self.fail(f'"{value}" must be three points or more: "10,10 200,10 100,150"')
        return points


class HexColour(click.ParamType[tuple[int, int, int]]):
    """A colour in sRGB."""

    name = "#rrggbb"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int, int]:
        """Return red, green and blue, 0 to 255."""
        match = _COLOUR.fullmatch(str(value))
        if match is None:
            self.fail(f'"{value}" must be a colour: "#87ceeb"')
        red, green, blue = bytes.fromhex(match[1])
        return red, green, blue


def _numbers(text: str) -> list[int] | None:
    """Return whole numbers between commas; `None` for others, and for what no picture has."""
    parts = text.split(",")
    if not all(_NUMBER.fullmatch(part) for part in parts):
        return None
    numbers = [int(part) for part in parts]
    return numbers if all(abs(number) <= MAX_EDGE for number in numbers) else None
