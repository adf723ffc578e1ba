"""How much of what was to stay a model has changed."""

from __future__ import annotations

from PIL import Image, ImageChops, ImageStat


def drift(original: Image.Image, edited: Image.Image, protected: Image.Image) -> float:
    """Return the mean absolute difference, 0 to 1, of two pictures of one size.

    It is taken over all channels of the pixels where `protected` (mode 1) is white; 0.0 where
    there are none. With transparency, colours count as far as they can be seen.
    """
    if protected.getbbox() is None:
        return 0.0
    if "RGBA" in {original.mode, edited.mode}:
        original, edited = (image.convert("RGBA").convert("RGBa") for image in (original, edited))
    difference = ImageChops.difference(original, edited)
    channels = ImageStat.Stat(difference, protected).mean
    return sum(channels) / len(channels) / 255
