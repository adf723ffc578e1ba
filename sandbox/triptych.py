"""Puts a picture, its mask and the edited picture side by side, for a page to show.

`python -m sandbox.triptych BEFORE MASK AFTER OUTPUT` writes a PNG 1,536 pixels wide.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

PANEL_WIDTH = 504
GUTTER = 12


def triptych(before: Path, mask: Path, after: Path) -> Image.Image:
    """Return the three panels in a row; the mask as white, where the edit goes, on black."""
    panels = [_fitted(Image.open(before)), _fitted(_seen(Image.open(mask)))]
    panels.append(_fitted(Image.open(after)))
    height = max(panel.height for panel in panels)
    width = len(panels) * PANEL_WIDTH + (len(panels) - 1) * GUTTER
    sheet = Image.new("RGB", (width, height), "white")
    for index, panel in enumerate(panels):
        sheet.paste(panel, (index * (PANEL_WIDTH + GUTTER), 0))
    return sheet


def _seen(mask: Image.Image) -> Image.Image:
    return mask.getchannel("A") if "A" in mask.getbands() else mask


def _fitted(image: Image.Image) -> Image.Image:
    height = round(image.height * PANEL_WIDTH / image.width)
    return image.convert("RGB").resize((PANEL_WIDTH, height), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    before, mask, after, output = map(Path, sys.argv[1:])
    triptych(before, mask, after).save(output, optimize=True)
