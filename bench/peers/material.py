"""What is sent and answered: a picture of a chosen size, a form with it, and OpenAI's JSON."""

from __future__ import annotations

import base64
import io
import json
import math
from dataclasses import dataclass
from random import Random

from PIL import Image, ImageChops

from bench.picture_work import png, scene

MODEL = "openai/gpt-image-2"
PROMPT = "turn the sky into a watercolor sunset"
BOUNDARY = "4d9a1be2f3c54a7c8e6f"
SIZES = {"64KB": 64_000, "1MB": 1_000_000, "8MB": 8_000_000, "25MB": 25_000_000}
"""Bytes of pictures of noise, whose pixels take as many: to read them is to copy them."""
PHOTO = "photo"
"""A picture of 1024 x 1024 pixels as cameras make them, 1.5 MB: it takes work to read."""
SIDE = 1024


def noise(size: int, seed: int = 1) -> bytes:
    """Return a PNG of about `size` bytes: noise, which compresses to no less than it is."""
    side = math.isqrt(size // 3)
    pixels = Random(seed).randbytes(side * side * 3)  # noqa: S311 -- reproducible, not secret
    file = io.BytesIO()
    Image.frombytes("RGB", (side, side), pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()


def masked_photo() -> tuple[bytes, bytes, bytes]:
    """Return the sample landscape with a camera's noise, its edit, and the mask of the edit.

    The edit differs inside the mask and, a little, everywhere else, as models' answers do.
    """
    source = scene(SIDE)
    box = (SIDE // 4, SIDE // 4, SIDE // 2, SIDE // 2)
    mask = Image.new("RGBA", (SIDE, SIDE))
    mask.paste("white", box)
    edited = source.point([min(255, level + 3) for level in range(256)] * 3)
    edited.paste(ImageChops.invert(source.crop(box)), box)
    return png(source), png(edited), png(mask)


def form(picture: bytes, model: str = MODEL, mask: bytes | None = None, **fields: str) -> bytes:
    """Return a form as OpenAI's SDKs send it, bounded by `BOUNDARY`."""
    parts = [
        f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}'.encode()
        for name, value in {"model": model, "prompt": PROMPT, **fields}.items()
    ]
    for name, file in (("image", picture), ("mask", mask)):
        if file is not None:
            head = f'Content-Disposition: form-data; name="{name}"; filename="{name}.png"'
            parts.append(f"{head}\r\nContent-Type: image/png\r\n\r\n".encode() + file)
    body = b"".join(b"--%s\r\n%s\r\n" % (BOUNDARY.encode(), part) for part in parts)
    return body + b"--%s--\r\n" % BOUNDARY.encode()


def answer(picture: bytes) -> bytes:
    """Return what OpenAI's `POST /v1/images/edits` answers with `picture` (its API reference)."""
    tokens = {"text_tokens": 20, "image_tokens": 1000}
    body = {
        "created": 1_764_000_000,
        "background": "opaque",
        "data": [{"b64_json": base64.b64encode(picture).decode()}],
        "output_format": "png",
        "quality": "high",
        "size": "1024x1024",
        "usage": {
            "total_tokens": 5180,
            "input_tokens": 1020,
            "output_tokens": 4160,
            "input_tokens_details": tokens,
            "output_tokens_details": {"image_tokens": 4160, "text_tokens": 0},
        },
    }
    return json.dumps(body, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Request:
    """A form and the answer to it; both are the same for every gateway.

    `picture` is what the answer holds.
    """

    form: bytes
    answer: bytes
    picture: bytes

    @classmethod
    def of(cls, size: str) -> Request:
        """Return an edit of a picture of that size into another of the same size."""
        if size == PHOTO:
            picture, result, _ = masked_photo()
        else:
            picture, result = noise(SIZES[size]), noise(SIZES[size], seed=2)
        return cls(form(picture), answer(result), result)

    def message(self, headers: dict[str, str]) -> bytes:
        """Return the whole HTTP request, with the `headers` that a gateway wants."""
        own = {
            "Host": "127.0.0.1",
            "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
            "Content-Length": str(len(self.form)),
            "Accept": "application/json",
            **headers,
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in own.items())
        return f"POST /v1/images/edits HTTP/1.1\r\n{head}\r\n".encode() + self.form
