"""`python -m sandbox.samples DIRECTORY [jpg]`: write the sample pictures and their masks.

Pictures are PNG, or JPEG for the web. Masks are in the gateway's convention: opaque where to edit,
transparent where to preserve.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from PIL import Image

from sandbox.scenes import landscape, still_life

Scene = Callable[[], tuple[Image.Image, Image.Image]]  # a picture, and "L" with 255 to edit
SCENES: Mapping[str, Scene] = {"landscape": landscape.render, "still-life": still_life.render}


JPEG_QUALITY = 86


def write(directory: Path, scenes: Mapping[str, Scene] = SCENES, ending: str = "png") -> list[Path]:
    """Write `NAME.png` (or `NAME.jpg`) and `NAME-mask.png` for every scene; return the paths."""
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for name, render in scenes.items():
        picture, region = render()
        alpha = region.point([255 if value >= 128 else 0 for value in range(256)])
        mask = Image.merge("LA", (alpha, alpha))
        for path, image in (
            (f"{name}.{ending}", picture),
            (f"{name}-mask.png", mask.convert("RGBA")),
        ):
            image.save(directory / path, optimize=True, quality=JPEG_QUALITY, progressive=True)
            written.append(directory / path)
    return written


if __name__ == "__main__":
    if len(sys.argv) not in {2, 3}:
        sys.exit("usage: python -m sandbox.samples DIRECTORY [jpg]")
    for written in write(Path(sys.argv[1]), ending="".join(sys.argv[2:]) or "png"):
        print(written)
