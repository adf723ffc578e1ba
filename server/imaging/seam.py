"""How the input's own pixels meet the model's: hard outside the mask, softly just inside it."""

from __future__ import annotations

from PIL import Image, ImageChops, ImageFilter

_WIDEST = 3  # pixels inside the mask over which the model's fade in
_OF_PICTURE = 128  # times the seam is the least that the longer side must be
_MOST = 0.6  # of a pixel inside the mask: thin strokes and corners must show the edit, too


def put_back(source: Image.Image, onto: Image.Image, keep: Image.Image) -> None:
    """Paste `source` over `onto`, both of one size and mode, wherever `keep` (mode 1) is white.

    There every pixel becomes the source's own. A few pixels inside the mask become a blend of
    both, at least 40 % of it the edit, so that no hard edge shows.
    """
    edited = ImageChops.invert(keep).getbbox()
    width = min(_WIDEST, max(onto.size) // _OF_PICTURE)
    if edited and width:
        share = _fading(keep, edited, width)
        onto.paste(_blended(source.crop(edited), onto.crop(edited), share), edited)
    onto.paste(source, mask=keep)


def _fading(keep: Image.Image, box: tuple[int, int, int, int], width: int) -> Image.Image:
    """Return how much of the source each pixel in `box` takes, as grey levels."""
    left, top, right, bottom = box
    # What is around the box counts as well; beyond the picture's rim it is 0.
    around = keep.crop((left - width, top - width, right + width, bottom + width)).convert("L")
    inner = (width, width, width + right - left, width + bottom - top)
    most = round(255 * _MOST)
    rise = [min(round(1.5 * level), most) for level in range(256)]
    return around.filter(ImageFilter.BoxBlur(width)).crop(inner).point(rise)


def _blended(source: Image.Image, model: Image.Image, share: Image.Image) -> Image.Image:
    if source.mode != "RGBA":
        return Image.composite(source, model, share)
    # Weighed by their opacity: colours that no one sees must not shine through.
    weighed = Image.composite(source.convert("RGBa"), model.convert("RGBa"), share)
    blended = model.copy()
    blended.paste(weighed.convert("RGBA"), mask=share.point([0] + [255] * 255))
    return blended
