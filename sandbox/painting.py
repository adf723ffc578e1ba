"""From an order to its picture: framing, effect, and masks the way the models take them.

A mask is a hint for the models: they redraw the whole picture. So the effect goes mainly inside
the mask, with a soft edge, and every pixel outside drifts by 3 to 8 of 255 in each channel.
Directives make them do what real ones do at times: move the content, show it in another frame,
redraw everything, answer in another size.
"""

from __future__ import annotations

from PIL import Image, ImageChops, ImageFilter, ImageOps

from sandbox import effects, noise
from sandbox.faults import Directives
from sandbox.wire import Order

_CANVAS = (250, 248, 244)


def paint(order: Order, directives: Directives) -> Image.Image:
    """Return the edited first picture of `order`, "RGB", or "RGBA" on a transparent background."""
    size = _size(order, directives)
    base = framed(order.images[0], size)
    if "unchanged" in directives:
        return base
    result = effects.apply(order.prompt, base)
    if order.mask is not None:
        redrawn = drifted(result if "redrawn" in directives else base)
        soft = directives.get("soft") or 2
        mask = ImageOps.fit(order.mask, size).filter(ImageFilter.GaussianBlur(soft))
        result = Image.composite(result, redrawn, mask)
    result = _misplaced(result, directives)
    if "noise" in directives:
        result = drifted(result, 40, 120)
    if order.background == "transparent" and "opaque" not in directives:
        result.putalpha(_vignette(size))
    return result


def _size(order: Order, directives: Directives) -> tuple[int, int]:
    if "square" in directives:
        return 1024, 1024
    share = directives.get("size") / 100 if "size" in directives else order.share
    return max(1, round(order.size[0] * share)), max(1, round(order.size[1] * share))


def framed(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return the picture on an opaque canvas, cut to the aspect ratio and resampled to `size`."""
    if picture.mode in {"LA", "RGBA"}:
        coloured = picture.convert("RGBA")
        canvas = Image.new("RGBA", coloured.size, (*_CANVAS, 255))
        picture = Image.alpha_composite(canvas, coloured)
    return ImageOps.fit(picture.convert("RGB"), size, Image.Resampling.LANCZOS)


def drifted(picture: Image.Image, least: int = 3, most: int = 8) -> Image.Image:
    """Return the picture with every pixel of every channel changed by `least` to `most`.

    Brighter, in slow waves; only what is too bright for that gets darker.
    """
    bands = []
    for band, name in zip(picture.split(), "rgb", strict=True):
        wave = noise.smooth(picture.size, f"drift {name}", (40, 40), least, most)
        bright = band.point([255 if value > 255 - most else 0 for value in range(256)])
        up, down = ImageChops.add(band, wave), ImageChops.subtract(band, wave)
        bands.append(Image.composite(down, up, bright))
    return Image.merge("RGB", bands)


def _misplaced(picture: Image.Image, directives: Directives) -> Image.Image:
    """Return the picture with its content moved and enlarged as the directives say."""
    if "mirror" in directives:
        picture = ImageOps.mirror(picture)
    if "shift" in directives:
        step = int(directives.get("shift"))
        picture = ImageChops.offset(picture, step, step)
    if "scale" in directives:
        inner = tuple(side / directives.get("scale") for side in picture.size)
        left, top = ((side - part) / 2 for side, part in zip(picture.size, inner, strict=True))
        box = (left, top, left + inner[0], top + inner[1])
        picture = picture.resize(picture.size, Image.Resampling.BICUBIC, box=box)
    return picture


def _vignette(size: tuple[int, int]) -> Image.Image:
    """Return an alpha plane: opaque in the middle, transparent in the corners."""
    disc = Image.radial_gradient("L").resize(size, Image.Resampling.BICUBIC)
    return disc.point([max(0, min(255, (215 - value) * 8)) for value in range(256)])
