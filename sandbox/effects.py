"""Edits for real: what a prompt's words do to a picture.

Every effect takes and returns an "RGB" picture of the same size. `apply` chooses them by words;
a prompt without a known word gets a tint of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from hashlib import sha256

from PIL import Image, ImageChops, ImageColor, ImageEnhance, ImageFilter, ImageMath, ImageOps

from sandbox import noise

Effect = Callable[[Image.Image], Image.Image]


def _watercolor(picture: Image.Image) -> Image.Image:
    small = ImageOps.contain(picture, (640, 640)).filter(ImageFilter.MedianFilter(7))
    flat = ImageOps.posterize(small.filter(ImageFilter.GaussianBlur(1.2)), 4)
    wash = Image.blend(small, flat, 0.6).filter(ImageFilter.MedianFilter(5))
    wash = ImageEnhance.Color(wash.resize(picture.size, Image.Resampling.BICUBIC)).enhance(1.5)
    blooms = noise.clouds(picture.size, "blooms", (160, 160), 4)
    paper = noise.smooth(picture.size, "paper", (3, 3), 232, 255)
    pale = wash.point([45 + value * 210 // 255 for value in range(256)] * 3)
    wash = Image.composite(
        pale, wash, blooms.point(lambda value: max(0, min(255, value * 3 - 230)))
    )
    outline = ImageOps.invert(_edges(wash)).point(
        [110 + value * 145 // 255 for value in range(256)]
    )
    return ImageChops.multiply(ImageChops.multiply(wash, _rgb(outline)), _rgb(paper))


def _sketch(picture: Image.Image) -> Image.Image:
    gray = ImageOps.autocontrast(picture.convert("L"), cutoff=1)
    radius = max(picture.size) / 110
    blurred = ImageOps.invert(gray).filter(ImageFilter.GaussianBlur(radius))
    lines = _dodge(gray, blurred).point([int(255 * (value / 255) ** 2.4) for value in range(256)])
    shade = gray.filter(ImageFilter.GaussianBlur(2)).point(
        [190 + v * 65 // 255 for v in range(256)]
    )
    grain = noise.smooth(picture.size, "pencil", (2, 7), 225, 255)
    drawing = ImageChops.multiply(ImageChops.multiply(lines, shade), grain)
    return ImageOps.colorize(drawing, (38, 36, 42), (252, 250, 244))


def _sunset(picture: Image.Image) -> Image.Image:
    height = picture.height
    sky = Image.linear_gradient("L").resize((1, height)).resize(picture.size)
    glow = ImageOps.colorize(sky, (108, 62, 128), (255, 186, 92), mid=(255, 120, 84))
    warm = ImageChops.soft_light(ImageEnhance.Brightness(picture).enhance(0.97), glow)
    screen = ImageChops.screen(warm, ImageEnhance.Brightness(glow).enhance(0.35))
    return ImageEnhance.Color(Image.blend(warm, screen, 0.6)).enhance(1.25)


def _snow(picture: Image.Image) -> Image.Image:
    cold = ImageOps.colorize(
        picture.convert("L"), (26, 42, 72), (246, 250, 255), mid=(138, 164, 196)
    )
    base = ImageEnhance.Brightness(Image.blend(picture, cold, 0.78)).enhance(1.06)
    for step, (share, blur) in enumerate(((1, 1.6), (2, 0.9), (4, 0.5))):
        grid = (picture.width * share // 8, picture.height * share // 8)
        flakes = noise.white(grid, f"flakes {step}").point(lambda value: 255 if value > 253 else 0)
        flakes = flakes.resize(picture.size, Image.Resampling.BICUBIC)
        flakes = flakes.filter(ImageFilter.GaussianBlur(blur))
        base = ImageChops.screen(base, _rgb(flakes))
    return base


def _night(picture: Image.Image) -> Image.Image:
    blue = ImageOps.colorize(picture.convert("L"), (3, 5, 18), (150, 178, 232), mid=(26, 40, 88))
    return ImageEnhance.Brightness(Image.blend(picture, blue, 0.85)).enhance(0.75)


def _pixelate(picture: Image.Image) -> Image.Image:
    cell = max(4, max(picture.size) // 72)
    grid = (max(1, picture.width // cell), max(1, picture.height // cell))
    return picture.resize(grid, Image.Resampling.BOX).resize(picture.size, Image.Resampling.NEAREST)


def _posterize(picture: Image.Image) -> Image.Image:
    flat = ImageOps.posterize(picture.filter(ImageFilter.GaussianBlur(2)), 3)
    return ImageEnhance.Color(ImageOps.autocontrast(flat)).enhance(1.3)


def _sepia(picture: Image.Image) -> Image.Image:
    gray = ImageOps.autocontrast(picture.convert("L"), cutoff=0.5)
    return ImageOps.colorize(gray, (34, 22, 12), (255, 240, 212), mid=(150, 112, 72))


def _blur(picture: Image.Image) -> Image.Image:
    return picture.filter(ImageFilter.GaussianBlur(max(picture.size) / 80))


def _enhanced(factor: float) -> Effect:
    return lambda picture: ImageEnhance.Brightness(picture).enhance(factor)


# In the order of use: tone first, then texture.
EFFECTS: Mapping[str, Effect] = {
    r"sunset|sunrise|dusk|dawn|golden hour|warm\w*": _sunset,
    r"snow\w*|winter\w*|cold\w*|frost\w*|ic[ey]": _snow,
    r"night\w*|moonlight|midnight": _night,
    r"bright\w*|lighter": _enhanced(1.45),
    r"dark\w*|dim\w*": _enhanced(0.5),
    r"gr[ae]y ?scale|monochrome|black[- ]and[- ]white|b&w": lambda picture: _rgb(
        picture.convert("L")
    ),
    r"sepia|vintage|antique": _sepia,
    r"invert\w*|negative": ImageOps.invert,
    r"posteri[sz]e\w*|pop[- ]art": _posterize,
    r"blur\w*|out of focus|bokeh": _blur,
    r"water ?colou?rs?|painting|painted": _watercolor,
    r"sketch\w*|pencil|drawing": _sketch,
    r"pixel\w*|8[- ]bit|mosaic": _pixelate,
}
_COLOURS = {
    **{name: ImageColor.getrgb(name)[:3] for name in ("red", "orange", "gold", "teal", "purple")},
    **{name: ImageColor.getrgb(name)[:3] for name in ("pink", "magenta", "cyan", "turquoise")},
    "yellow": (245, 205, 30),
    "green": (30, 150, 60),
    "blue": (30, 90, 220),
    "violet": (130, 60, 200),
    "brown": (120, 75, 40),
    "silver": (180, 186, 196),
}


def apply(prompt: str, picture: Image.Image) -> Image.Image:
    """Return `picture` edited as the words of `prompt` ask, or tinted by the prompt's hash."""
    words = prompt.lower()
    found = [
        effect for pattern, effect in EFFECTS.items() if re.search(rf"\b(?:{pattern})\b", words)
    ]
    named = re.findall(rf"\b({'|'.join(_COLOURS)})\b", words)
    found += [_tint(_COLOURS[name]) for name in named[-1:]]  # "turn the orange blue" means blue
    if not found:
        hue = sha256(words.encode()).digest()[0] * 360 // 256
        found = [_tint(ImageColor.getrgb(f"hsl({hue}, 85%, 50%)")[:3])]
    for effect in found:
        picture = effect(picture)
    return picture


def _tint(colour: tuple[int, ...]) -> Effect:
    """Return an effect that gives all things `colour` and keeps their light and shade."""
    red, green, blue = colour[:3]

    def tinted(picture: Image.Image) -> Image.Image:
        dark = (red // 6, green // 6, blue // 6)
        light = tuple(255 - (255 - value) // 7 for value in (red, green, blue))
        gray = ImageOps.autocontrast(picture.convert("L"), cutoff=0.5)
        toned = ImageOps.colorize(gray, dark, light, mid=(red, green, blue))
        return Image.blend(picture, toned, 0.82)

    return tinted


def _edges(picture: Image.Image) -> Image.Image:
    """Return where the picture changes, as "L"."""
    found = picture.convert("L").filter(ImageFilter.FIND_EDGES)
    # The filter leaves the rim as it was, which would be drawn as a frame.
    inner = found.crop((1, 1, max(2, found.width - 1), max(2, found.height - 1)))
    edges = inner.resize(found.size).filter(ImageFilter.GaussianBlur(0.8))
    return edges.point([min(255, value * 3) for value in range(256)])


def _dodge(base: Image.Image, blend: Image.Image) -> Image.Image:
    """Return the colour dodge of two "L" pictures: base / (1 - blend), by way of floats."""
    divisor = ImageOps.invert(blend).point([max(1, value) for value in range(256)])
    dodged: Image.Image = ImageMath.lambda_eval(
        lambda names: names["convert"](names["min"](names["a"] * 255 / names["b"], 255), "L"),
        a=base.convert("F"),
        b=divisor.convert("F"),
    )
    return dodged


def _rgb(gray: Image.Image) -> Image.Image:
    return Image.merge("RGB", (gray, gray, gray))
