"""What the tests of OpenAI's packages send to be inverted, and what must come back of it."""

from __future__ import annotations

from PIL import Image, ImageChops, ImageStat

from sandbox.calls import Call
from sandbox.server import SandboxServer
from tests.pictures import decoded, encoded, smooth

# One route, whose failures may have cost money: what counts submissions is plain to read.
MODEL = "openai/gpt-image-1.5"
SIZE, OTHER_SIZE = (120, 120), (90, 60)
BOX = (30, 20, 80, 90)
PHOTO = encoded(smooth(*SIZE), "PNG")
OTHER = encoded(smooth(*OTHER_SIZE), "PNG")
REQUEST_ID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"


def _mask() -> bytes:
    mask = Image.new("RGBA", SIZE)
    mask.paste((255, 255, 255, 255), BOX)
    return encoded(mask, "PNG")


MASK = _mask()
"""Our convention: opaque in the box, transparent around it."""


def assert_inverted(picture: bytes) -> None:
    """Check that a file of any size shows the photo inverted."""
    _check(decoded(PHOTO, "RGB"), decoded(picture, "RGB").resize(SIZE))


def assert_inverted_in_the_box(picture: bytes) -> None:
    """Check that a file is the photo, inverted in the box and the same around it."""
    before, after = decoded(PHOTO, "RGB"), decoded(picture, "RGB")
    assert after.size == SIZE
    _check(before.crop(BOX), after.crop(BOX))
    after.paste(before.crop(BOX), BOX)
    assert ImageChops.difference(before, after).getbbox() is None


def _check(before: Image.Image, after: Image.Image) -> None:
    assert _difference(after, ImageChops.invert(before)) < 8
    assert _difference(after, before) > 60


def _difference(one: Image.Image, other: Image.Image) -> float:
    """Return how far two RGB pictures are apart on average, 0 to 255."""
    bands = ImageStat.Stat(ImageChops.difference(one, other)).mean
    return sum(bands) / len(bands)


def submissions(sandbox: SandboxServer, prompt: str) -> list[Call]:
    """Return the requests for edits that the upstream got with just this prompt."""
    return [call for call in sandbox.calls if call.fields.get("prompt") == prompt]
