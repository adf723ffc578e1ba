"""Requests to the simulator, as a correct client makes them; tests bend them one way each."""

from __future__ import annotations

import base64
import io
from typing import Any

import requests
from PIL import Image

from sandbox.server import SandboxServer

KEY = {"Authorization": "Bearer sandbox"}
OPENAI = "/openai/v1/images/edits"
OPENROUTER = "/openrouter/api/v1/images"
SILICONFLOW = "/siliconflow/v1/images/generations"
VENDORS = ("openai", "openrouter", "siliconflow")


def picture(size: tuple[int, int] = (96, 64), mode: str = "RGB") -> Image.Image:
    """Return a picture with structure in every channel."""
    bands = [
        Image.linear_gradient("L").resize(size),
        Image.linear_gradient("L").rotate(90).resize(size),
        Image.radial_gradient("L").resize(size),
    ]
    return Image.merge("RGB", bands).convert(mode)


def file(image: Image.Image, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind)
    return stream.getvalue()


def mask(
    size: tuple[int, int] = (96, 64), box: tuple[int, int, int, int] = (0, 0, 32, 64)
) -> bytes:
    """Return a mask as OpenAI wants it: transparent inside `box`, where the edit goes."""
    image = Image.new("RGBA", size, (0, 0, 0, 255))
    image.paste((0, 0, 0, 0), box)
    return file(image)


def data_url(data: bytes, mime: str = "image/png") -> str:
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def part(data: bytes, mime: str = "image/png", name: str = "image") -> tuple[str, Any]:
    return name, ("picture.png", data, mime)


def openai(
    server: SandboxServer, *parts: tuple[str, Any], timeout: float = 20, **fields: str
) -> requests.Response:
    form = {"model": "gpt-image-1.5", "prompt": "sepia", **fields}
    files = list(parts) or [part(file(picture()))]
    return requests.post(server.url + OPENAI, data=form, files=files, headers=KEY, timeout=timeout)


def reference(data: bytes, mime: str = "image/png") -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": data_url(data, mime)}}


def openrouter(server: SandboxServer, timeout: float = 20, **fields: Any) -> requests.Response:
    body = {
        "model": "openai/gpt-image-2",
        "prompt": "sepia",
        "input_references": [reference(file(picture()))],
        **fields,
    }
    return requests.post(server.url + OPENROUTER, json=body, headers=KEY, timeout=timeout)


def siliconflow(server: SandboxServer, timeout: float = 20, **fields: Any) -> requests.Response:
    body = {
        "model": "black-forest-labs/FLUX.1-Kontext-dev",
        "prompt": "sepia",
        "image": data_url(file(picture())),
        **fields,
    }
    kept = {name: value for name, value in body.items() if value is not None}
    return requests.post(server.url + SILICONFLOW, json=kept, headers=KEY, timeout=timeout)


def ask(server: SandboxServer, vendor: str, prompt: str, timeout: float = 20) -> requests.Response:
    calls = {"openai": openai, "openrouter": openrouter, "siliconflow": siliconflow}
    return calls[vendor](server, timeout=timeout, prompt=prompt)


def result(response: requests.Response) -> Image.Image:
    """Return the picture that a vendor's answer delivers."""
    assert response.status_code == 200, response.text[:500]
    body = response.json()
    if "data" in body:
        return opened(base64.b64decode(body["data"][0]["b64_json"]))
    return opened(requests.get(body["images"][0]["url"], timeout=20).content)
