"""What is sent and answered: a picture of a chosen size, a form with it, and OpenAI's JSON."""

from __future__ import annotations

import base64
import io
import json
import math
from dataclasses import dataclass
from random import Random

from PIL import Image

MODEL = "openai/gpt-image-2"
PROMPT = "turn the sky into a watercolor sunset"
BOUNDARY = "4d9a1be2f3c54a7c8e6f"
SIZES = {"64KB": 64_000, "1MB": 1_000_000, "8MB": 8_000_000, "25MB": 25_000_000}


def noise(size: int, seed: int = 1) -> bytes:
    """Return a PNG of about `size` bytes: noise, which compresses to no less than it is."""
    side = math.isqrt(size // 3)
    pixels = Random(seed).randbytes(side * side * 3)  # noqa: S311 -- reproducible, not secret
    file = io.BytesIO()
    Image.frombytes("RGB", (side, side), pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()


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
    def of_size(cls, size: int) -> Request:
        """Return an edit of a picture of `size` bytes into another of that size."""
        result = noise(size, seed=2)
        return cls(form(noise(size)), answer(result), result)

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
