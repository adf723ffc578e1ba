"""Renders the pictures of docs/masks.md: real edits through the gateway, the sandbox as the models.

`python -m tests.mask_pictures DIRECTORY` writes them as JPEG.
"""

from __future__ import annotations

import base64
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageChops

from sandbox.server import SandboxServer
from server.imaging.coverage import CoveragePlane
from tests.edits import Edit, by_http
from tests.pictures import decoded, encoded
from tests.running import Gateway

SAMPLES = Path(__file__).parent.parent / "docs" / "samples"
SIZE = (768, 512)
PANEL = (380, 253)
GUTTER = 8
FIR, VALLEY = (2, 100), (613, 214)  # upper left corners of details
TIMES = 3  # differences are shown that many times as strong


def sample(name: str) -> Image.Image:
    """Return a sample picture, or what its mask edits as white on black."""
    with Image.open(SAMPLES / f"{name}.png") as picture:
        picture.load()
    if name.endswith("-mask"):
        return picture.getchannel("A").resize(SIZE, Image.Resampling.NEAREST)
    return picture.convert("RGB").resize(SIZE, Image.Resampling.LANCZOS)


def edited(gateway: Gateway, prompt: str, model: str, **fields: str) -> tuple[Image.Image, str]:
    """Return the landscape edited in its sky, and the answer's x-mask-method."""
    mask = Image.merge("LA", (sample("landscape-mask"),) * 2).convert("RGBA")
    asked = {"model": model, "prompt": prompt, **fields}
    images = (encoded(sample("landscape"), "PNG"),)
    response = by_http(gateway, Edit(asked, images, encoded(mask, "PNG")))
    response.raise_for_status()
    data = base64.b64decode(response.json()["data"][0]["b64_json"])
    return decoded(data, "RGB"), response.headers["x-mask-method"]


def render(gateway: Gateway) -> dict[str, Image.Image]:
    """Return the sheets by name."""
    return {
        "masks-fidelity": _fidelity(gateway),
        "masks-moved": _moved(gateway),
        "masks-unaligned": _unaligned(gateway),
        "masks-seam": _seam(gateway),
    }


def _fidelity(gateway: Gateway) -> Image.Image:
    """Input, mask; hint, exact; what each changed."""
    source, model = sample("landscape"), "black-forest-labs/flux-kontext-pro"
    hint, _ = edited(gateway, "make it a sunset", model, mask_fidelity="hint")
    exact, _ = edited(gateway, "make it a sunset", model)
    hint = hint.resize(SIZE, Image.Resampling.LANCZOS)
    panels = [source, sample("landscape-mask"), hint, exact]
    panels += [_difference(source, picture) for picture in (hint, exact)]
    return _sheet([_panel(picture) for picture in panels])


def _moved(gateway: Gateway) -> Image.Image:
    """A detail of the input, of the model's picture, pasted as it came, and moved back."""
    source, prompt = sample("landscape"), "turn it teal [sandbox shift=9]"
    hint, _ = edited(gateway, prompt, "openai/gpt-image-2", mask_fidelity="hint")
    exact, _ = edited(gateway, prompt, "openai/gpt-image-2")
    hint = hint.resize(SIZE, Image.Resampling.LANCZOS)
    pasted = hint.copy()
    keep = CoveragePlane.from_levels(sample("landscape-mask")).protected()
    pasted.paste(source, mask=keep)
    return _sheet([_detail(picture, FIR, (96, 64)) for picture in (source, hint, pasted, exact)])


def _unaligned(gateway: Gateway) -> Image.Image:
    """The input, and what came back mirrored and zoomed: nothing was pasted."""
    panels = [sample("landscape")]
    for words in ("mirror", "scale=1.3"):
        prompt = f"make it a sunset [sandbox {words}]"
        picture, method = edited(gateway, prompt, "openai/gpt-image-2")
        if not method.endswith(";unaligned"):
            raise SystemExit(f"{words}: {method}")
        panels.append(picture)
    return _sheet([_panel(picture) for picture in panels], columns=3)


def _seam(gateway: Gateway) -> Image.Image:
    """A very small detail: the input's pixels, and where the model's begin."""
    exact, _ = edited(gateway, "turn it magenta", "openai/gpt-image-2")
    pictures = (sample("landscape"), sample("landscape-mask"), exact)
    return _sheet([_detail(picture, VALLEY, (36, 24)) for picture in pictures], columns=3)


def _difference(one: Image.Image, other: Image.Image) -> Image.Image:
    return ImageChops.difference(one, other).point([min(255, v * TIMES) for v in range(256)] * 3)


def _panel(picture: Image.Image) -> Image.Image:
    height = round(picture.height * PANEL[0] / picture.width)
    return picture.convert("RGB").resize((PANEL[0], height), Image.Resampling.LANCZOS)


def _detail(picture: Image.Image, place: tuple[int, int], zoom: tuple[int, int]) -> Image.Image:
    left, top = place
    part = picture.convert("RGB").crop((left, top, left + zoom[0], top + zoom[1]))
    return part.resize(PANEL, Image.Resampling.NEAREST)


def _sheet(panels: list[Image.Image], columns: int = 2) -> Image.Image:
    width, height = panels[0].size
    rows = -(-len(panels) // columns)
    sheet = Image.new(
        "RGB", (columns * (width + GUTTER) - GUTTER, rows * (height + GUTTER) - GUTTER), "white"
    )
    for index, panel in enumerate(panels):
        row, column = divmod(index, columns)
        sheet.paste(panel, (column * (width + GUTTER), row * (height + GUTTER)))
    return sheet


if __name__ == "__main__":
    target = Path(sys.argv[1])
    with (
        SandboxServer() as sandbox,
        tempfile.TemporaryDirectory() as folder,
        Gateway(sandbox.environment(), Path(folder)) as running,
    ):
        for name, made in render(running).items():
            made.save(target / f"{name}.jpg", quality=88, optimize=True)
