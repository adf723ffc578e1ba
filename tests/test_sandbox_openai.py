"""The simulator's OpenAI: as strict as the vendor, with answers of the vendor's shape."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from PIL import Image

from sandbox.server import SandboxServer
from tests.sandbox_client import KEY, OPENAI, file, mask, openai, opened, part, picture, result


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxServer]:
    with SandboxServer() as running:
        yield running


PNG = file(picture())
REFUSED_FIELDS = [
    ({"response_format": "b64_json"}, "unknown_parameter", "response_format"),
    ({"seed": "1"}, "unknown_parameter", "seed"),
    ({"mask_convention": "opaque"}, "unknown_parameter", "mask_convention"),
    ({"prompt": ""}, "missing_required_parameter", "prompt"),
    ({"model": ""}, "missing_required_parameter", "model"),
    ({"prompt": "x" * 32_001}, "string_above_max_length", "prompt"),
    ({"model": "dall-e-2"}, "model_not_found", "model"),
    ({"model": "openai/gpt-image-1"}, "model_not_found", "model"),
    ({"n": "0"}, "invalid_value", "n"),
    ({"n": "11"}, "invalid_value", "n"),
    ({"n": "1.0"}, "invalid_value", "n"),
    ({"quality": "standard"}, "invalid_value", "quality"),
    ({"quality": "xhigh"}, "invalid_value", "quality"),
    ({"model": "gpt-image-2", "quality": "max"}, "invalid_value", "quality"),
    ({"background": "white"}, "invalid_value", "background"),
    ({"background": "transparent", "output_format": "jpeg"}, "invalid_value", "background"),
    ({"output_format": "jpg"}, "invalid_value", "output_format"),
    ({"output_compression": "101", "output_format": "webp"}, "invalid_value", "output_compression"),
    ({"output_compression": "50"}, "invalid_value", "output_compression"),
    ({"input_fidelity": "mid"}, "invalid_value", "input_fidelity"),
    (
        {"model": "gpt-image-2", "input_fidelity": "high"},
        "invalid_input_fidelity_model",
        "input_fidelity",
    ),
    (
        {"model": "gpt-image-1-mini", "input_fidelity": "high"},
        "invalid_input_fidelity_model",
        "input_fidelity",
    ),
    ({"size": "512x512"}, "invalid_value", "size"),
    ({"size": "1024X1024"}, "invalid_value", "size"),
    ({"model": "gpt-image-2", "size": "1000x1000"}, "invalid_value", "size"),
    ({"model": "gpt-image-2", "size": "3856x1600"}, "invalid_value", "size"),
    ({"model": "gpt-image-2", "size": "3200x1024"}, "invalid_value", "size"),
    ({"model": "gpt-image-2", "size": "640x640"}, "invalid_value", "size"),
    ({"model": "gpt-image-2", "size": "3840x2176"}, "invalid_value", "size"),
    ({"partial_images": "2"}, "invalid_value", "partial_images"),
]


@pytest.mark.parametrize(("fields", "code", "param"), REFUSED_FIELDS)
def test_a_field_out_of_bounds_is_refused_by_name(
    server: SandboxServer, fields: dict[str, str], code: str, param: str
) -> None:
    response = openai(server, **fields)
    assert response.status_code == (404 if code == "model_not_found" else 400)
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["code"], error["param"]) == (code, param)
    assert response.headers["x-request-id"].startswith("req_")


REFUSED_FILES: list[tuple[str, list[tuple[str, Any]], str]] = [
    ("octet-stream", [part(PNG, "application/octet-stream")], "unsupported_file_mimetype"),
    ("gif", [part(PNG, "image/gif")], "unsupported_file_mimetype"),
    ("png said to be jpeg", [part(PNG, "image/jpeg")], "invalid_image_file"),
    ("cut short", [part(PNG[: len(PNG) // 2])], "invalid_image_file"),
    ("text", [part(b"hello")], "invalid_image_file"),
    ("palette", [part(file(picture(mode="P")))], "invalid_image_file"),
    ("cmyk", [part(file(picture(mode="CMYK"), "JPEG"), "image/jpeg")], "invalid_image_file"),
    ("16 bit", [part(file(Image.new("I;16", (64, 64))))], "invalid_image_file"),
    ("no image", [part(mask(), name="mask")], "missing_required_parameter"),
    ("17 images", [part(PNG, name="image[]")] * 17, "array_above_max_length"),
    ("image twice", [part(PNG)] * 2, "duplicate_parameter"),
    ("both names", [part(PNG), part(PNG, name="image[]")], "duplicate_parameter"),
    ("two masks", [part(PNG), *[part(mask(), name="mask")] * 2], "duplicate_parameter"),
    ("mask that is a JPEG", [part(PNG), part(file(picture(), "JPEG"), name="mask")], "mask"),
    ("mask of another size", [part(PNG), part(mask((64, 96)), name="mask")], "mask"),
    ("mask without alpha", [part(PNG), part(file(picture()), name="mask")], "mask"),
    ("gray mask", [part(PNG), part(file(picture(mode="L")), name="mask")], "mask"),
]


@pytest.mark.parametrize(
    ("files", "code"), [row[1:] for row in REFUSED_FILES], ids=[row[0] for row in REFUSED_FILES]
)
def test_a_bad_file_is_refused(
    server: SandboxServer, files: list[tuple[str, Any]], code: str
) -> None:
    response = openai(server, *files)
    expected = "invalid_mask_image_format" if code == "mask" else code
    assert (response.status_code, response.json()["error"]["code"]) == (400, expected)


def test_a_mask_is_refused_in_the_vendors_words(server: SandboxServer) -> None:
    wrong_size = openai(server, part(PNG), part(mask((64, 96)), name="mask")).json()
    no_alpha = openai(server, part(PNG), part(PNG, name="mask")).json()
    assert wrong_size["error"]["message"].endswith("mask size does not match image size")
    assert no_alpha["error"]["message"].endswith("mask image missing alpha channel")


def test_without_a_key_nothing_is_read(server: SandboxServer) -> None:
    for headers, code in (({}, None), ({"Authorization": "Bearer wrong-key"}, "invalid_api_key")):
        response = requests.post(server.url + OPENAI, headers=headers, timeout=5)
        assert (response.status_code, response.json()["error"]["code"]) == (401, code)


@pytest.mark.parametrize(
    "body", [b"", b"--b\r\n", b"x--b--", b"--b\r\nContent-Disposition: form-data\r\n\r\n1\r\n--b--"]
)
def test_a_malformed_form_is_refused(server: SandboxServer, body: bytes) -> None:
    headers = {**KEY, "content-type": "multipart/form-data; boundary=b"}
    response = requests.post(server.url + OPENAI, data=body, headers=headers, timeout=5)
    assert response.status_code == 400
    assert "multipart" in response.json()["error"]["message"]


def test_a_chunked_body_is_read(server: SandboxServer) -> None:
    form = requests.Request(
        "POST",
        server.url + OPENAI,
        data={"model": "gpt-image-2", "prompt": "blur"},
        files=[part(PNG)],
    ).prepare()
    assert isinstance(form.body, bytes)
    pieces = iter([form.body[:100], form.body[100:]])
    headers = {**KEY, "content-type": form.headers["content-type"]}
    response = requests.post(server.url + OPENAI, data=pieces, headers=headers, timeout=10)
    assert result(response).size == (1536, 1024)


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
@pytest.mark.parametrize("model", ["gpt-image-1", "gpt-image-1.5", "gpt-image-2.6-flare"])
def test_the_answer_has_the_vendors_shape(server: SandboxServer, model: str, kind: str) -> None:
    response = openai(server, model=model, size="1024x1024", output_format=kind, quality="high")
    body = response.json()
    assert opened(base64.b64decode(body["data"][0]["b64_json"])).format == kind.upper()
    assert {name: body[name] for name in ("size", "output_format", "quality", "background")} == {
        "size": "1024x1024",
        "output_format": kind,
        "quality": "high",
        "background": "opaque",
    }
    assert "model" not in body
    usage = body["usage"]
    assert usage["output_tokens"] == (7024 if model.startswith("gpt-image-2") else 4160)
    assert usage["input_tokens"] == sum(usage["input_tokens_details"].values())
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


def test_sizes_are_honoured(server: SandboxServer) -> None:
    tall = part(file(picture((64, 96))))
    assert result(openai(server, model="gpt-image-2", size="1280x720")).size == (1280, 720)
    assert result(openai(server, tall, size="auto")).size == (1024, 1536)
    assert len(openai(server, n="3").json()["data"]) == 3


def test_a_transparent_background_is_transparent(server: SandboxServer) -> None:
    image = result(openai(server, background="transparent"))
    assert image.mode == "RGBA"
    assert image.getchannel("A").getextrema() == (0, 255)


def test_a_stream_has_partial_pictures_and_then_the_whole(server: SandboxServer) -> None:
    response = openai(server, stream="true", partial_images="2")
    assert response.headers["content-type"] == "text/event-stream"
    events = [line[6:] for line in response.text.split("\n") if line.startswith("data: ")]
    types = [json.loads(event)["type"] for event in events]
    assert types == ["image_edit.partial_image"] * 2 + ["image_edit.completed"]
    assert json.loads(events[-1])["usage"]["output_tokens"] > 200


def test_unknown_routes_are_refused_in_the_vendors_shape(server: SandboxServer) -> None:
    for method, path, status in (
        ("POST", "/openai/v1/images/edit", 404),
        ("GET", OPENAI, 405),
        ("POST", "/healthz", 404),
    ):
        response = requests.request(method, server.url + path, headers=KEY, timeout=5)
        assert (response.status_code, response.json()["error"]["type"]) == (
            status,
            "invalid_request_error",
        )
