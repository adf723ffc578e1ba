"""The whole road of an edit: every given model, both doors, masked or not, in every format."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import pytest
import requests
from PIL import Image, ImageChops

from sandbox.server import SandboxServer
from tests import whole
from tests.edits import Edit, by_grpc, by_http, by_stream
from tests.pictures import decoded, encoded, smooth
from tests.running import Gateway

MODELS = {
    "openai/gpt-image-2": "second_image",
    "openai/gpt-image-1.5": "native",
    "openai/gpt-image-1": "native",
    "black-forest-labs/flux-kontext-pro": "instruction",
    "black-forest-labs/flux-kontext-max": "instruction",
    "black-forest-labs/flux-kontext-dev": "instruction",
    "qwen/qwen-image-edit": "second_image",
}
SIZE = (120, 120)
BOX = (30, 20, 80, 90)
IMAGE = encoded(smooth(*SIZE), "PNG")


def mask_of(box: tuple[int, int, int, int]) -> bytes:
    """Return a mask in our convention: opaque in `box`, transparent elsewhere."""
    mask = Image.new("RGBA", SIZE, (0, 0, 0, 0))
    mask.paste((255, 255, 255, 255), box)
    return encoded(mask, "PNG")


@dataclass(frozen=True)
class Answer:
    """What either door gives, in the same words."""

    picture: bytes
    model: str
    size: str
    output_format: str
    mask_method: str | None
    drift: float | None
    cost: float


def http(gateway: Gateway, edit: Edit) -> Answer:
    response = by_http(gateway, edit)
    assert response.status_code == 200, response.text
    body = response.json()
    drift = response.headers.get("x-mask-drift")
    return Answer(
        picture=base64.b64decode(body["data"][0]["b64_json"]),
        model=body["model"],
        size=body["size"],
        output_format=body["output_format"],
        mask_method=response.headers.get("x-mask-method"),
        drift=float(drift) if drift else None,
        cost=body["usage"]["cost"],
    )


def rpc(gateway: Gateway, edit: Edit, *, stream: bool) -> Answer:
    if stream:
        facts, picture, kinds = by_stream(gateway, edit)
        assert kinds[:2] == ["accepted", "result"]
        assert set(kinds[2:]) == {"result_chunk"}
        assert facts.image.data == b""
    else:
        facts = by_grpc(gateway, edit)
        picture = facts.image.data
    report = facts.mask_report if facts.HasField("mask_report") else None
    method = ["", "native", "second_image", "instruction"][report.method] if report else None
    return Answer(
        picture=picture,
        model=facts.model,
        size=f"{facts.width}x{facts.height}",
        output_format=["", "png", "jpeg", "webp"][facts.output_format],
        mask_method=f"{method};unaligned" if report and report.unaligned else method,
        drift=report.drift if report else None,
        cost=facts.usage.cost_nanos / 1e9,
    )


DOORS: dict[str, Callable[[Gateway, Edit], Answer]] = {
    "http": http,
    "unary": lambda gateway, edit: rpc(gateway, edit, stream=False),
    "stream": lambda gateway, edit: rpc(gateway, edit, stream=True),
}


EVERY_WAY = list(product(MODELS, DOORS, (False, True), ("png", "jpeg", "webp")))


@pytest.mark.parametrize(
    ("model", "door", "masked", "output_format"), whole.of(EVERY_WAY, EVERY_WAY[::4])
)
def test_every_model_through_every_door(
    gateway: Gateway, model: str, door: str, masked: bool, output_format: str
) -> None:
    fields = {"model": model, "prompt": "invert", "output_format": output_format}
    answer = DOORS[door](gateway, Edit(fields, (IMAGE,), mask_of(BOX) if masked else None))
    with Image.open(io.BytesIO(answer.picture)) as picture:
        measured = (picture.format or "").lower(), f"{picture.width}x{picture.height}"
    assert (answer.output_format, answer.size) == measured
    assert answer.output_format == output_format
    assert answer.model == model
    assert answer.cost > 0
    if not masked:
        assert (answer.mask_method, answer.drift) == (None, None)
        return
    assert answer.mask_method == MODELS[model]
    assert answer.drift is not None
    assert 0 < answer.drift < 1
    assert answer.size == f"{SIZE[0]}x{SIZE[1]}"
    before, after = decoded(IMAGE, "RGB"), decoded(answer.picture, "RGB")
    inside = ImageChops.difference(before.crop(BOX), after.crop(BOX))
    assert _changed(inside) > 0.9
    if output_format != "jpeg":
        outside = ImageChops.difference(before, after)
        outside.paste((0, 0, 0), BOX)
        assert outside.getbbox() is None


def _changed(difference: Image.Image) -> float:
    """Return the share of pixels that differ at all."""
    grey = difference.convert("L").point(lambda level: 255 if level else 0)
    return grey.histogram()[255] / (grey.width * grey.height)


# What a mask looks like on the wire, by route: asked of the sandbox, which saw it.
@pytest.mark.parametrize("model", [*MODELS, "qwen/qwen-image-edit-2509"])
def test_no_mask_is_dropped_or_forwarded_untouched(
    gateway: Gateway, sandbox: SandboxServer, model: str
) -> None:
    prompt = f"tint it green for ({model})"
    mask = mask_of(BOX)
    by_http(gateway, Edit({"model": model, "prompt": prompt}, (IMAGE,), mask))
    (call,) = [call for call in sandbox.calls if prompt in json.dumps(call.fields)]
    method = MODELS.get(model, "second_image")
    seen = json.dumps(call.fields)
    if method == "native":
        assert any(picture.name == "mask" for picture in call.pictures)
        assert "mask" not in seen
    elif method == "second_image":
        assert [picture.mode for picture in call.pictures][-1] in {"1", "L", "RGB"}
        assert len(call.pictures) == 2
        assert "mask" in seen
        assert "white" in seen
    else:
        assert len(call.pictures) == 1
        assert "%" in seen or "per cent" in seen


def test_failing_over_tells_the_log_and_not_the_caller(
    gateway: Gateway, sandbox: SandboxServer
) -> None:
    prompt = "sepia [sandbox error500 at=openrouter]"
    sandbox.forget_calls()
    response = by_http(gateway, Edit({"model": "openai/gpt-image-2", "prompt": prompt}))
    assert response.status_code == 200
    assert response.json()["model"] == "openai/gpt-image-2"
    assert [call.path for call in sandbox.calls] == [
        "/openrouter/api/v1/images",
        "/openai/v1/images/edits",
    ]


UNKNOWN_AT_VENDOR = ["reset", "close", "cut=20", "html502", "garbage"]


@pytest.mark.parametrize("words", UNKNOWN_AT_VENDOR)
def test_an_unknown_outcome_is_never_tried_again_where_failures_may_cost(
    gateway: Gateway, sandbox: SandboxServer, words: str
) -> None:
    prompt = f"sepia once [sandbox {words}]"
    sandbox.forget_calls()
    response = by_http(gateway, Edit({"model": "openai/gpt-image-1.5", "prompt": prompt}))
    assert response.status_code == 502
    assert response.headers["x-should-retry"] == "false"
    assert len(sandbox.calls) == 1


def test_what_a_model_cannot_honour_is_said(gateway: Gateway) -> None:
    fields = {
        "model": "qwen/qwen-image-edit",
        "prompt": "sepia",
        "quality": "low",
        "input_fidelity": "high",
        "seed": "7",
        "user": "someone",
        "size": "120x40",
        "moderation": "low",
    }
    response = by_http(gateway, Edit(fields, (IMAGE,)))
    assert response.headers["x-ignored-parameters"] == "input_fidelity, moderation, quality, size"


def test_what_it_can_honour_is_not(gateway: Gateway) -> None:
    fields = {
        "model": "openai/gpt-image-2",
        "prompt": "sepia",
        "quality": "low",
        "background": "auto",
        "size": "960x640",
        "output_format": "webp",
        "output_compression": "50",
    }
    response = by_http(gateway, Edit(fields, (IMAGE,)))
    assert response.status_code == 200
    assert response.json()["size"] == "960x640"
    assert "x-ignored-parameters" not in response.headers


def test_the_answer_is_openais_json_with_our_additions(gateway: Gateway) -> None:
    body = by_http(gateway, Edit({"quality": "low"})).json()
    assert list(body) == [
        "created",
        "model",
        "data",
        "size",
        "output_format",
        "quality",
        "background",
        "usage",
    ]
    usage = body["usage"]
    assert usage["input_tokens"] == usage["prompt_tokens"]
    assert usage["output_tokens"] == usage["completion_tokens"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    assert sum(usage["input_tokens_details"].values()) == usage["input_tokens"]


def test_ids_models_and_health(gateway: Gateway) -> None:
    listed = requests.get(f"{gateway.url}/v1/models", timeout=10).json()
    assert listed["object"] == "list"
    assert set(MODELS) <= {entry["id"] for entry in listed["data"]}
    for entry in listed["data"]:
        alone = requests.get(f"{gateway.url}/v1/models/{entry['id']}", timeout=10).json()
        assert alone == entry
        assert "image" in entry["architecture"]["input_modalities"]
        assert "image_edit" in entry["architecture"]["features"]
        assert "image_edit" in entry["capabilities"]
    assert requests.get(f"{gateway.url}/readyz", timeout=10).status_code == 200
    assert requests.get(f"{gateway.url}/healthz", timeout=10).status_code == 200
