"""The simulator's OpenRouter and SiliconFlow: as strict as the vendors, with their shapes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from PIL import Image, ImageStat

from sandbox.server import SandboxServer
from tests.sandbox_client import (
    KEY,
    OPENROUTER,
    SILICONFLOW,
    data_url,
    file,
    openrouter,
    picture,
    reference,
    result,
    siliconflow,
)


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxServer]:
    with SandboxServer() as running:
        yield running


PNG = file(picture())
BAD_URL = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}

NOT_SUPPORTED = ("size", "resolution", "output_format", "seed", "mask", "user", "moderation")


@pytest.mark.parametrize("name", NOT_SUPPORTED)
def test_openrouter_refuses_fields_that_the_model_does_not_list(
    server: SandboxServer, name: str
) -> None:
    response = openrouter(server, **{name: "1K"})
    assert response.status_code == 400
    error = response.json()["error"]
    assert error["code"] == 400
    assert name in error["message"]


OPENROUTER_REFUSED: list[tuple[dict[str, Any], int]] = [
    ({"aspect_ratio": "5:4"}, 400),
    ({"quality": "max"}, 400),
    ({"background": "transparent"}, 400),
    ({"n": 0}, 400),
    ({"n": 11}, 400),
    ({"output_compression": 101}, 400),
    ({"model": "openai/gpt-image-1"}, 404),
    ({"input_references": []}, 400),
    ({"input_references": [reference(PNG)] * 17}, 400),
    ({"input_references": [BAD_URL]}, 400),
    ({"input_references": [reference(PNG, "image/jpeg")]}, 400),
    ({"input_references": [reference(PNG[:200])]}, 400),
]


@pytest.mark.parametrize(("fields", "status"), OPENROUTER_REFUSED)
def test_openrouter_refuses_values_with_a_numeric_code(
    server: SandboxServer, fields: dict[str, Any], status: int
) -> None:
    response = openrouter(server, **fields)
    assert (response.status_code, response.json()["error"]["code"]) == (status, status)


ZOD: list[dict[str, Any]] = [
    {"n": "1"},
    {"n": True},
    {"output_compression": 80.5},
    {"stream": "true"},
    {"quality": 1},
    {"prompt": None},
    {"input_references": data_url(PNG)},
    {"input_references": [data_url(PNG)]},
    {"input_references": [{**reference(PNG), "detail": "high"}]},
]


@pytest.mark.parametrize("fields", ZOD)
def test_openrouter_refuses_wrong_types_in_its_schemas_shape(
    server: SandboxServer, fields: dict[str, Any]
) -> None:
    response = openrouter(server, **fields)
    body = response.json()
    assert (response.status_code, body["success"]) == (400, False)
    assert body["error"]["name"] == "ZodError"
    assert json.loads(body["error"]["message"])[0]["path"][0] in fields


@pytest.mark.parametrize(
    ("ratio", "size"),
    [
        ("1:1", (1024, 1024)),
        ("2:3", (1024, 1536)),
        ("16:9", (1536, 864)),
        ("21:9", (1680, 720)),
        ("auto", (1536, 1024)),
    ],
)
def test_openrouter_gives_a_png_of_the_aspect_ratio(
    server: SandboxServer, ratio: str, size: tuple[int, int]
) -> None:
    response = openrouter(server, aspect_ratio=ratio, quality="high", output_compression=80)
    image = result(response)
    assert (image.format, image.size) == ("PNG", size)
    assert response.json()["data"][0]["media_type"] == "image/png"


def test_openrouter_reports_tokens_and_their_price(server: SandboxServer) -> None:
    usage = openrouter(server, aspect_ratio="1:1", quality="high").json()["usage"]
    assert usage["completion_tokens"] == 7106
    assert usage["completion_tokens_details"] == {"image_tokens": 7024}
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert 0.2131 < usage["cost"] < 0.2135


def test_openrouter_streams_with_comments_between(server: SandboxServer) -> None:
    text = openrouter(server, stream=True).text
    assert ": OPENROUTER PROCESSING" in text
    kinds = [line for line in text.splitlines() if line.startswith("event: ")]
    assert kinds == [
        *["event: image_generation.partial_image"] * 2,
        "event: image_generation.completed",
    ]
    assert text.endswith("data: [DONE]\n\n")


PRO, DEV = "black-forest-labs/FLUX.1-Kontext-pro", "black-forest-labs/FLUX.1-Kontext-dev"
QWEN, QWEN_3 = "Qwen/Qwen-Image-Edit", "Qwen/Qwen-Image-Edit-2509"
URL = data_url(PNG)
SILICONFLOW_REFUSED: list[dict[str, Any]] = [
    {"model": "black-forest-labs/FLUX.1-kontext-pro"},
    {"model": None},
    {"prompt": None},
    {"image": None},
    {"image": "https://example.com/a.png"},
    {"image": data_url(PNG, "image/jpeg")},
    {"image": data_url(b"text")},
    {"mask": URL},
    {"n": 1},
    {"batch_size": 1},
    {"image_size": "1024x1024"},
    {"output_format": "png"},
    {"image2": URL},
    {"seed": "1"},
    {"seed": 10_000_000_000},
    {"prompt_enhancement": "true"},
    {"model": PRO},
    {"model": PRO, "input_image": URL},
    {"model": PRO, "image": None, "input_image": URL, "output_format": "webp"},
    {"model": PRO, "image": None, "input_image": URL, "aspect_ratio": "1024:1024"},
    {"model": PRO, "image": None, "input_image": URL, "safety_tolerance": 3},
    {"model": PRO, "image": None, "input_image": URL, "size": "1024x1024"},
    {"model": QWEN, "image_size": "1024x1024"},
    {"model": QWEN, "image2": URL},
    {"model": QWEN, "num_inference_steps": 101},
    {"model": QWEN, "cfg": 0},
    {"model": QWEN_3, "image3": URL},
]


@pytest.mark.parametrize("fields", SILICONFLOW_REFUSED)
def test_siliconflow_refuses_what_a_models_table_lacks(
    server: SandboxServer, fields: dict[str, Any]
) -> None:
    response = siliconflow(server, **fields)
    assert (response.status_code, response.json()["code"]) == (400, 20012)
    assert response.headers["x-siliconcloud-trace-id"]


SILICONFLOW_TAKEN: list[tuple[dict[str, Any], tuple[int, int], str]] = [
    ({"seed": 7, "prompt_enhancement": True}, (1248, 832), "PNG"),
    ({"model": PRO, "image": None, "input_image": URL, "aspect_ratio": "1:1"}, (1024,) * 2, "PNG"),
    (
        {"model": PRO, "image": None, "input_image": URL, "output_format": "jpeg"},
        (1248, 832),
        "JPEG",
    ),
    ({"model": QWEN, "negative_prompt": "", "guidance_scale": 4, "cfg": 4.0}, (1248, 832), "PNG"),
    ({"model": QWEN_3, "image2": URL, "image3": URL}, (1248, 832), "PNG"),
]


@pytest.mark.parametrize(("fields", "size", "kind"), SILICONFLOW_TAKEN)
def test_siliconflow_gives_an_address_of_a_picture(
    server: SandboxServer, fields: dict[str, Any], size: tuple[int, int], kind: str
) -> None:
    response = siliconflow(server, **fields)
    body = response.json()
    assert set(body) == {"images", "timings", "seed"}
    assert body["images"][0]["url"].startswith(server.url)
    assert body["seed"] == fields.get("seed", body["seed"])
    image = result(response)
    assert (image.format, image.size) == (kind, size)


def test_a_result_needs_no_key_and_an_unknown_one_is_not_found(server: SandboxServer) -> None:
    url = siliconflow(server).json()["images"][0]["url"]
    assert requests.get(url, timeout=5).status_code == 200
    assert requests.get(url + "x", timeout=5).status_code == 404


def test_keys_are_asked_for(server: SandboxServer) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        refused = requests.post(server.url + OPENROUTER, json={}, headers=headers, timeout=5)
        assert (refused.status_code, refused.json()["error"]["code"]) == (401, 401)
        refused = requests.post(server.url + SILICONFLOW, json={}, headers=headers, timeout=5)
        assert (refused.status_code, refused.json()) == (401, "Invalid token")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"', b"\xff"])
def test_bodies_that_are_no_object_are_refused(server: SandboxServer, body: bytes) -> None:
    headers = {**KEY, "content-type": "application/json"}
    for path in (OPENROUTER, SILICONFLOW):
        response = requests.post(server.url + path, data=body, headers=headers, timeout=5)
        assert response.status_code == 400


def test_unknown_routes_are_refused_in_the_vendors_shape(server: SandboxServer) -> None:
    edits = requests.post(server.url + OPENROUTER + "/edits", headers=KEY, timeout=5)
    assert (edits.status_code, edits.json()["error"]["code"]) == (404, 404)
    missing = requests.post(server.url + "/siliconflow/v1/images/edits", headers=KEY, timeout=5)
    assert (missing.status_code, missing.json()) == (404, "404 page not found")


def test_a_second_picture_is_a_mask_only_when_the_prompt_says_so(server: SandboxServer) -> None:
    black_and_white = Image.new("L", (96, 64))
    black_and_white.paste(255, (0, 32, 96, 64))
    references = [reference(PNG), reference(file(black_and_white))]
    plain = result(openrouter(server, prompt="invert", input_references=references))
    masked_prompt = "Image 2 is a mask for image 1: white marks the region to change. Edit: invert"
    masked = result(openrouter(server, prompt=masked_prompt, input_references=references))
    top = (0, 0, 1536, 300)  # black in the mask, which is white below the middle
    before = ImageStat.Stat(picture().resize((1536, 1024)).crop(top)).mean[0]
    assert ImageStat.Stat(plain.crop(top)).mean[0] > before + 80
    assert 2 < ImageStat.Stat(masked.crop(top)).mean[0] - before < 9
    assert ImageStat.Stat(masked.crop((0, 724, 1536, 1024))).mean[0] < 60
