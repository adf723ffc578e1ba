"""Solids of revolution, lit by a window: fruit, bowls and jugs for the sample pictures.

A profile gives the half-width of a solid at each height. From it come the surface's normals, and
from these diffuse light, a highlight, and light from the table, with Pillow's float pictures.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageMath, ImageOps

Colour = tuple[int, int, int]
Profile = Callable[[float], float]
Vector = tuple[float, float, float]  # right, down, towards us
WINDOW: Vector = (-0.66, -0.50, 0.56)
TABLE: Vector = (0.35, 0.92, 0.15)


@dataclass(frozen=True, slots=True)
class Finish:
    """A surface: its colours in shadow, half light and light; `gloss` is 0 to 1.

    `skin`, if given, is an "L" picture around 128 that is added as fine relief.
    """

    shadow: Colour
    body: Colour
    light: Colour
    gloss: float = 0.4
    skin: Image.Image | None = None


def turned(size: tuple[int, int], profile: Profile, finish: Finish, tilt: float = 0) -> Image.Image:
    """Return the solid, "RGBA", drawn at `size` and then turned by `tilt` degrees to the left.

    `profile` maps a height, 0 at the top to 1 at the foot, to a half-width from 0 to 1. The light
    comes from the window however the solid lies.
    """
    x, radius, slope = _surface(profile, size)
    normal = _normal(x, radius, slope)
    sun = _turned(WINDOW, tilt)
    half = _turned(_unit((WINDOW[0], WINDOW[1], WINDOW[2] + 1)), tilt)
    diffuse = _shade(normal, sun, 1, 0.80, 0.20)
    if finish.skin is not None:
        diffuse = ImageChops.add(diffuse, finish.skin.resize(size), 1, -128)
    solid = ImageOps.colorize(diffuse, finish.shadow, finish.light, mid=finish.body, midpoint=112)
    glow: Colour = (finish.body[0] // 2 + 60, finish.body[1] // 2 + 36, finish.body[2] // 2 + 20)
    bounce = _shade(normal, _turned(TABLE, tilt), 2, 0.42, 0)
    solid = ImageChops.screen(solid, ImageOps.colorize(bounce, (0, 0, 0), glow))
    shine = ImageChops.add(
        _shade(normal, half, 90, finish.gloss, 0), _shade(normal, half, 12, finish.gloss * 0.3, 0)
    ).filter(ImageFilter.GaussianBlur(size[0] / 260))
    solid = ImageChops.screen(solid, ImageOps.colorize(shine, (0, 0, 0), (255, 250, 240)))
    solid.putalpha(
        _math(lambda n: n["min"](n["max"](n["r"] - abs(n["x"]) + 0.5, 0), 1) * 255, x=x, r=radius)
    )
    if tilt:
        solid = solid.rotate(tilt, Image.Resampling.BICUBIC, expand=True)
    return solid.crop(solid.getbbox())


def through(*points: tuple[float, float]) -> Profile:
    """Return a profile that goes smoothly (Catmull-Rom) through (height, half-width) points."""
    first, last = points[0], points[-1]
    knots = [first, *points, last]

    def profile(height: float) -> float:
        place = next((i for i, knot in enumerate(points[1:]) if knot[0] >= height), len(points) - 2)
        before, start, end, after = knots[place : place + 4]
        step = end[0] - start[0]
        part = (height - start[0]) / step
        rise = (end[1] - before[1]) / (end[0] - before[0]) * step
        fall = (after[1] - start[1]) / (after[0] - start[0]) * step
        cube, square = part**3, part**2
        return (
            (2 * cube - 3 * square + 1) * start[1]
            + (cube - 2 * square + part) * rise
            + (3 * square - 2 * cube) * end[1]
            + (cube - square) * fall
        )

    return profile


def standing(solid: Image.Image, half: float, depth: int) -> Image.Image:
    """Return the solid with a round foot: an ellipse, `half` of its width by `depth` pixels."""
    width, height = solid.size
    foot = Image.new("L", solid.size, 0)
    draw = ImageDraw.Draw(foot)
    draw.rectangle((0, 0, width, height - depth), fill=255)
    reach = width * half / 2
    middle = width / 2
    draw.ellipse((middle - reach, height - 2 * depth, middle + reach, height - 1), fill=255)
    solid.putalpha(ImageChops.multiply(solid.getchannel("A"), foot))
    return solid


def _surface(
    profile: Profile, size: tuple[int, int]
) -> tuple[Image.Image, Image.Image, Image.Image]:
    """Return the distance from the axis, the radius and its slope, in pixels, as float pictures."""
    width, height = size
    radii = [max(0.0, profile((y + 0.5) / height)) * width / 2 for y in range(height)]
    slopes = [radii[min(y + 1, height - 1)] - radii[max(y - 1, 0)] for y in range(height)]
    across = Image.new("F", (width, 1))
    across.putdata([place + 0.5 - width / 2 for place in range(width)])
    columns = []
    for values in (radii, [slope / 2 for slope in slopes]):
        column = Image.new("F", (1, height))
        column.putdata(values)
        columns.append(column.resize(size, Image.Resampling.NEAREST))
    return across.resize(size, Image.Resampling.NEAREST), columns[0], columns[1]


def _normal(x: Image.Image, radius: Image.Image, slope: Image.Image) -> dict[str, Image.Image]:
    """Return the unit normals of the side that faces us."""
    across = _float(
        lambda n: n["min"](n["max"](n["x"] / n["max"](n["r"], 0.01), -1), 1), x=x, r=radius
    )
    length = _float(lambda n: (n["s"] * n["s"] + 1) ** 0.5, s=slope)
    return {
        "x": _float(lambda n: n["a"] / n["l"], a=across, l=length),
        "y": _float(lambda n: n["s"] * -1 / n["l"], s=slope, l=length),
        "z": _float(lambda n: (1 - n["a"] * n["a"]) ** 0.5 / n["l"], a=across, l=length),
    }


def _shade(
    normal: dict[str, Image.Image], towards: Vector, power: int, strength: float, least: float
) -> Image.Image:
    """Return an "L" picture of the light from one direction."""
    right, down, near = towards
    return _math(
        lambda n: (
            (
                n["max"](n["x"] * right + n["y"] * down + n["z"] * near, 0) ** power * strength
                + least
            )
            * 255
        ),
        **normal,
    )


def _float(formula: Callable[[dict[str, Any]], Any], **planes: Image.Image) -> Image.Image:
    plane: Image.Image = ImageMath.lambda_eval(formula, **planes)
    return plane


def _math(formula: Callable[[dict[str, Any]], Any], **planes: Image.Image) -> Image.Image:
    """Return the formula's values, cut to 0 to 255, as "L"."""
    return _float(lambda n: n["convert"](n["min"](n["max"](formula(n), 0), 255), "L"), **planes)


def _unit(vector: Vector) -> Vector:
    length = math.hypot(*vector)
    return vector[0] / length, vector[1] / length, vector[2] / length


def _turned(vector: Vector, degrees: float) -> Vector:
    """Return a direction as seen from a drawing that will be turned to the left by `degrees`."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    x, y, z = vector
    return x * cosine - y * sine, x * sine + y * cosine, z
