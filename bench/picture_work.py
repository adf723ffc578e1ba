"""`python -m bench.picture_work`: what a mask costs in CPU time: its conversion and the paste-back.

An edit as the service does it, but for the upstream: the caller's mask is decoded, checked and put
in the form that the route's method sends; then the model's PNG and the input's are decoded, the
input's pixels go back over the model's outside the mask, and the result is encoded as PNG. Each
row is the median of `RUNS` such edits, in milliseconds of this process (user and system).
"""

from __future__ import annotations

import io
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageChops

from server.domain import MaskConvention, MaskMethod, OutputFormat, Picture
from server.imaging.coverage import CoveragePlane
from server.imaging.finish import finish
from server.imaging.inspect import read_picture
from server.imaging.mask_words import region_instruction
from server.imaging.masks import native_mask, read_mask, second_image_mask

RUNS = 7
NOISE = 2  # levels of 255: a photo at low sensitivity
SAMPLE = Path(__file__).parent.parent / "docs" / "samples" / "landscape.png"
GOALS = {1024: "120", 2048: "", 4096: "1500"}  # by the side
METHODS: dict[MaskMethod, Callable[[CoveragePlane], object]] = {
    MaskMethod.NATIVE: native_mask,
    MaskMethod.SECOND_IMAGE: second_image_mask,
    MaskMethod.INSTRUCTION: region_instruction,
}


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


def masked_edit(
    original: Picture, mask: bytes, delivered: bytes, form: Callable[[CoveragePlane], object]
) -> None:
    """Do all picture work of one masked edit that is not done without a mask, and what is."""
    plane = read_mask(mask, MaskConvention.OPAQUE, original.width, original.height)
    form(plane)
    finish(
        delivered,
        output_format=OutputFormat.PNG,
        compression=None,
        size=None,
        original=original,
        plane=plane,
        exact=True,
    )


def pictures(side: int) -> tuple[Picture, bytes, dict[str, bytes]]:
    """Return an input, a mask over a quarter of it, and what models make of it, by its place."""
    source, mask = scene(side), Image.new("RGBA", (side, side))
    box = (side // 4, side // 4, side * 3 // 4, side * 3 // 4)
    mask.paste("white", box)
    edited = source.point([min(255, level + 3) for level in range(256)] * 3)
    edited.paste(ImageChops.invert(source.crop(box)), box)
    moved = ImageChops.offset(edited, 3 * side // 1024, 2 * side // 1024)
    return read_picture(png(source)), png(mask), {"in place": png(edited), "moved": png(moved)}


def main() -> None:
    """Print the table."""
    print(f"CPU of a masked edit's pictures, ms, median of {RUNS}: mask read and converted,")
    print("model's and input's PNG decoded, pasted back, PNG encoded; a quarter is masked\n")
    print(f"{'size':<14}{'mask goes as':<16}{'model':<12}{'CPU ms':>8}{'goal':>8}")
    for side, goal in GOALS.items():
        original, mask, files = pictures(side)
        for method, form in METHODS.items():
            for place, file in files.items():
                spent = cpu_ms(lambda: masked_edit(original, mask, file, form))  # noqa: B023 -- now
                print(f"{f'{side} x {side}':<14}{method:<16}{place:<12}{spent:>8.0f}{goal:>8}")


if __name__ == "__main__":
    main()
