"""How much of what was to stay a model has changed."""

from __future__ import annotations

from PIL import Image, ImageChops, ImageStat

_ROWS = 256  # at a time, or the difference alone would take as much memory as a picture


def drift(original: Image.Image, edited: Image.Image, protected: Image.Image) -> float:
    """Return the mean absolute difference, 0 to 1, of two pictures of one size.

    It is taken over all channels of the pixels where `protected` (mode 1) is white; 0.0 where
    there are none. With transparency, colours count as far as they can be seen.
    """
    mode = "RGBa" if "RGBA" in {original.mode, edited.mode} else "RGB"
    changed, compared = 0.0, 0
    for top in range(0, original.height, _ROWS):
        box = (0, top, original.width, min(top + _ROWS, original.height))
        one, other = (_in_mode(image.crop(box), mode) for image in (original, edited))
        found = ImageStat.Stat(ImageChops.difference(one, other), protected.crop(box))
        changed += sum(found.sum)
        compared += sum(found.count)
    return changed / compared / 255 if compared else 0.0


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    return image.convert("RGBA").convert(mode) if mode == "RGBa" else image
