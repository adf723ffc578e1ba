"""`python -m bench.picture_work`: what a mask costs in CPU time: its conversion and the paste-back.

Each row is the median of `RUNS` runs, in milliseconds of this process (user and system).
"""

from __future__ import annotations

import io
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageChops

from server.domain import MaskConvention, OutputFormat
from server.imaging.coverage import CoveragePlane
from server.imaging.finish import finish
from server.imaging.inspect import read_picture
from server.imaging.masks import native_mask, read_mask

RUNS = 7
NOISE = 2  # levels of 255: a photo at low sensitivity
SAMPLE = Path(__file__).parent.parent / "docs" / "samples" / "landscape.png"
SIDES = (1024, 2048, 4096)


def scene(side: int) -> Image.Image:
    """Return the sample landscape as a square, with a camera's noise."""
    with Image.open(SAMPLE) as sample:
        picture = sample.convert("RGB").resize((side, side), Image.Resampling.LANCZOS)
    noise = Image.effect_noise((side, side), NOISE).convert("RGB")
    return ImageChops.add(picture, noise, offset=-128)


def png(image: Image.Image) -> bytes:
    """Return the picture as a PNG that is quick to make."""
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    return file.getvalue()


def cpu_ms(work: Callable[[], object]) -> float:
    """Return the median CPU time of `work`."""
    times = []
    for _ in range(RUNS):
        began = time.process_time()
        work()
        times.append((time.process_time() - began) * 1000)
    return statistics.median(times)


def main() -> None:
    """Print the table."""
    print(f"CPU ms, median of {RUNS}: mask in and out, and the paste-back, to PNG")
    print(f"{'':<12}{'mask':>8}{'in place':>10}{'moved':>8}{'both at the most':>18}")
    for side in SIDES:
        source = scene(side)
        mask = Image.new("RGBA", (side, side))
        box = (side // 4, side // 4, side // 2, side // 2)
        mask.paste("white", box)
        changed = ImageChops.invert(source.crop(box))
        edited = source.point([min(255, level + 3) for level in range(256)] * 3)
        edited.paste(changed, box)
        moved = ImageChops.offset(edited, 3 * side // 1024, 2 * side // 1024)
        original, mask_file = read_picture(png(source)), png(mask)

        def convert(side: int = side, file: bytes = mask_file) -> CoveragePlane:
            plane = read_mask(file, MaskConvention.OPAQUE, side, side)
            native_mask(plane)  # the dearest of the forms
            return plane

        plane = convert()

        def back(file: bytes, original: object = original, plane: object = plane) -> None:
            finish(
                file,
                output_format=OutputFormat.PNG,
                compression=None,
                size=None,
                original=original,  # type: ignore[arg-type] # bound early, for the loop
                plane=plane,  # type: ignore[arg-type] # as above
                exact=True,
            )

        files = [png(edited), png(moved)]
        both = [cpu_ms(convert), *(cpu_ms(lambda file=file: back(file)) for file in files)]  # type: ignore[misc]
        print(f"{f'{side} x {side}':<12}{both[0]:>8.0f}{both[1]:>10.0f}{both[2]:>8.0f}"
              f"{both[0] + max(both[1:]):>18.0f}")  # fmt: skip


if __name__ == "__main__":
    main()
