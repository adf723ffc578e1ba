"""OpenAI's own Node package against the gateway, with nothing set but `baseURL` and the key."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sandbox.server import SandboxServer
from server.catalog_file import load
from tests.node_scripts import NODE_FOLDER, NotThere, node_script
from tests.pictures import bomb_png, decoded
from tests.running import Gateway
from tests.sdk_pictures import (
    MASK,
    MODEL,
    OTHER,
    OTHER_SIZE,
    PHOTO,
    REQUEST_ID,
    SIZE,
    assert_inverted,
    assert_inverted_in_the_box,
    submissions,
)

Outcome = dict[str, Any]

FILES = {
    "photo.png": PHOTO,
    "other.png": OTHER,
    "mask.png": MASK,
    "broken.png": b"GIF89a",
    "bomb.png": bomb_png(),
}

# Pictures as callers hand them over.
STREAM = {"form": "stream", "path": "photo.png"}
FILE = {"form": "file", "path": "photo.png", "name": "photo.png", "type": "image/png"}
NAMELESS = {"form": "nameless", "path": "photo.png"}
OTHER_STREAM = {"form": "stream", "path": "other.png"}
MASK_FILE = {"form": "file", "path": "mask.png", "name": "m.png", "type": "image/png"}


def edit(name: str, *, words: str = "", **params: object) -> dict[str, object]:
    """Return an edit of a file, with `params` put over what it says."""
    prompt = f"invert in node: {name} {words}".strip()
    return {
        "method": "edit",
        "params": {"model": MODEL, "image": FILE, "prompt": prompt} | params,
    }


def picture_first(name: str) -> dict[str, object]:
    params = {"image": STREAM, "mask": MASK_FILE, "prompt": f"invert in node: {name}"}
    return {"method": "edit", "params": params | {"model": MODEL}}


WHOLE: dict[str, dict[str, Any]] = {
    "stream": {"image": STREAM},
    "file with type": {"image": FILE},
    "file with a wrong type": {"image": FILE | {"name": "photo.txt", "type": "text/plain"}},
    "nameless buffer": {"image": NAMELESS},
    "File": {"image": {"form": "File", "path": "photo.png", "name": "photo.png"}},
    "array of one stream": {"image": [STREAM]},
    "array of one file": {"image": [FILE]},
    "array of two": {"image": [FILE, OTHER_STREAM]},
    "array of two streams": {"image": [STREAM, OTHER_STREAM]},
    "jpeg": {"image": STREAM, "output_format": "jpeg"},
    "webp": {"image": FILE, "output_format": "webp"},
}
MASKED: dict[str, dict[str, Any]] = {
    "mask as stream": {"mask": MASK_FILE | {"form": "stream"}},
    "mask as file": {"mask": MASK_FILE},
    "mask as nameless buffer": {"mask": MASK_FILE | {"form": "nameless"}},
    "stream and mask as stream": {"image": STREAM, "mask": MASK_FILE | {"form": "stream"}},
    "array and mask": {"image": [STREAM, OTHER_STREAM], "mask": MASK_FILE},
}
REQUEST = ("invalid_request_error", "invalid_request_error")
ERRORS: dict[str, tuple[dict[str, Any], tuple[object, ...]]] = {
    "unknown model": (
        {"model": "acme/unknown"},
        ("BadRequestError", 400, "model_capability_mismatch", REQUEST[1], "model"),
    ),
    "bad picture": (
        {"image": FILE | {"path": "broken.png"}},
        ("BadRequestError", 400, *REQUEST, "image"),
    ),
    "bad second picture in a stream": (
        {"image": [STREAM, STREAM | {"path": "broken.png"}]},
        ("BadRequestError", 400, *REQUEST, "image[1]"),
    ),
    "mask of another size": ({"mask": OTHER_STREAM}, ("BadRequestError", 400, *REQUEST, "mask")),
    "two pictures wanted": ({"n": 2}, ("BadRequestError", 400, *REQUEST, "n")),
    # The package has no class of its own for 413.
    "over the pixel limit": (
        {"image": FILE | {"path": "bomb.png"}},
        ("APIError", 413, *REQUEST, "image"),
    ),
    "over the body limit in a stream": (
        {"image": STREAM | {"path": "huge.png"}},
        ("APIError", 413, *REQUEST, None),
    ),
}
STREAMS: dict[str, dict[str, Any]] = {
    "plain": {},
    "masked": {"partial_images": 2, "mask": MASK_FILE},
    "of another vendor": {"partial_images": 2, "model": "openai/gpt-image-2"},
    "of one that has none": {"partial_images": 2, "model": "qwen/qwen-image-edit"},
}
VENDORS = ("openai", "openrouter", "siliconflow")
ALIASES = [model.alias for model in load(None, VENDORS, VENDORS).models]
FAULTS = ("error500", "reset", "html502", "garbage")
CALLS: dict[str, dict[str, Any]] = {
    **{name: edit(name, **params) for name, params in (WHOLE | MASKED).items()},
    **{name: edit(name, **params) for name, (params, _) in ERRORS.items()},
    **{fault: edit(fault, words=f"[sandbox {fault}]") for fault in FAULTS},
    "picture first": picture_first("picture first"),
    "unknown key": {**edit("unknown key"), "apiKey": "sk-nonsense"},
    "busy once": edit("busy once", words="[sandbox error429 first=1]"),
    **{
        f"stream {name}": {**edit(f"stream {name}", **params), "method": "stream"}
        for name, params in STREAMS.items()
    },
    **{
        f"stream {alias}": {
            **edit(f"stream {alias}", words="[sandbox echo]", model=alias),
            "method": "stream",
        }
        for alias in ALIASES
    },
    "late failure": {
        **edit("late failure", words="[sandbox late error500]", partial_images=1),
        "method": "stream",
    },
    "early failure": {**edit("early failure", n=2), "method": "stream"},
    "models": {"method": "models", "params": {}},
    "model": {"method": "model", "params": {"model": MODEL}},
    "no such model": {"method": "model", "params": {"model": "acme/unknown"}},
}


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The script with what it needs beside it; skips where node or npm are missing."""
    try:
        return node_script("edit.mjs", tmp_path_factory.mktemp("node"))
    except NotThere as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def outcomes(
    script: Path, gateway: Gateway, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Outcome]:
    """What came of every call: one process makes all of them at once."""
    folder = tmp_path_factory.mktemp("pictures")
    for name, data in FILES.items():
        (folder / name).write_bytes(data)
    with (folder / "huge.png").open("wb") as file:
        file.truncate(100_000_000)
    document = {"baseURL": f"{gateway.url}/v1", "apiKey": gateway.key, "calls": CALLS}
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        ["node", script],
        cwd=folder,
        env=environment,
        input=json.dumps(document),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Outcome] = json.loads(done.stdout)
    return found


def prompt_of(name: str) -> str:
    return str(CALLS[name]["params"]["prompt"])


def picture_of(outcome: Outcome) -> bytes:
    assert "raised" not in outcome, outcome
    assert re.fullmatch(REQUEST_ID, outcome["requestID"])
    (entry,) = outcome["data"]["data"]
    return base64.b64decode(entry["b64_json"], validate=True)


@pytest.mark.parametrize("name", WHOLE)
def test_every_form_of_a_picture(
    outcomes: dict[str, Outcome], sandbox: SandboxServer, name: str
) -> None:
    data = picture_of(outcomes[name])
    with Image.open(io.BytesIO(data)) as picture:
        assert (picture.format or "").lower() == WHOLE[name].get("output_format", "png")
    assert_inverted(data)
    (call,) = submissions(sandbox, prompt_of(name))
    sizes = [SIZE, OTHER_SIZE] if "two" in name else [SIZE]
    assert [(sent.width, sent.height) for sent in call.pictures] == sizes


@pytest.mark.parametrize("name", [*MASKED, "picture first"])
def test_masks(outcomes: dict[str, Outcome], name: str) -> None:
    assert_inverted_in_the_box(picture_of(outcomes[name]))
    assert outcomes[name]["headers"]["x-mask-method"] == "native"


def test_usage(outcomes: dict[str, Outcome]) -> None:
    usage = outcomes["stream"]["data"]["usage"]
    assert usage["input_tokens"] == usage["prompt_tokens"] > 0
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    assert usage["cost"] > 0


@pytest.mark.parametrize("name", STREAMS)
def test_streams(outcomes: dict[str, Outcome], name: str) -> None:
    outcome = outcomes[f"stream {name}"]
    *partials, done = outcome["events"]
    assert len(partials) == (2 if name in {"masked", "of another vendor"} else 0)
    for index, event in enumerate(partials):
        assert event["type"] == "image_edit.partial_image"
        assert event["partial_image_index"] == index
        assert base64.b64decode(event["b64_json"], validate=True)
    assert done["type"] == "image_edit.completed"
    assert done["usage"]["cost"] > 0
    picture = base64.b64decode(done["b64_json"], validate=True)
    (assert_inverted_in_the_box if "mask" in STREAMS[name] else assert_inverted)(picture)
    assert re.fullmatch(REQUEST_ID, outcome["requestID"])


@pytest.mark.parametrize("alias", ALIASES)
def test_every_model_streams(outcomes: dict[str, Outcome], alias: str) -> None:
    """Checks with an upstream that gives the picture back, which takes no time."""
    (done,) = outcomes[f"stream {alias}"]["events"]
    assert (done["type"], done["model"]) == ("image_edit.completed", alias)
    assert decoded(base64.b64decode(done["b64_json"]), "RGB") == decoded(PHOTO, "RGB")


def test_a_failure_inside_a_stream_is_raised(outcomes: dict[str, Outcome]) -> None:
    late = outcomes["late failure"]
    assert [event["type"] for event in late["events"]] == ["image_edit.partial_image"]
    assert (late["raised"], late["code"]) == ("APIError", "upstream_error")
    wanted = ("BadRequestError", 400, *REQUEST, "n")
    assert told(outcomes["early failure"]) == wanted


def told(outcome: Outcome) -> tuple[object, ...]:
    assert re.fullmatch(REQUEST_ID, outcome["requestID"]), outcome
    assert outcome["message"].startswith(f"{outcome['status']} ")
    return tuple(outcome[name] for name in ("raised", "status", "code", "type", "param"))


@pytest.mark.parametrize("name", ERRORS)
def test_errors_are_the_packages_own(outcomes: dict[str, Outcome], name: str) -> None:
    assert told(outcomes[name]) == ERRORS[name][1]


def test_a_wrong_key(outcomes: dict[str, Outcome]) -> None:
    wanted = ("AuthenticationError", 401, "invalid_api_key", "invalid_request_error", None)
    assert told(outcomes["unknown key"]) == wanted


@pytest.mark.parametrize("fault", FAULTS)
def test_x_should_retry_is_obeyed(
    outcomes: dict[str, Outcome], sandbox: SandboxServer, fault: str
) -> None:
    wanted = ("InternalServerError", 502, "upstream_error", "upstream_error", None)
    assert told(outcomes[fault]) == wanted
    assert len(submissions(sandbox, prompt_of(fault))) == 1


def test_a_busy_upstream_is_asked_again(
    outcomes: dict[str, Outcome], sandbox: SandboxServer
) -> None:
    assert_inverted(picture_of(outcomes["busy once"]))
    first, second = submissions(sandbox, prompt_of("busy once"))
    assert second.when - first.when >= 7


def test_models(outcomes: dict[str, Outcome]) -> None:
    listed = {model["id"]: model for model in outcomes["models"]["data"]["data"]}
    assert {MODEL, "openai/gpt-image-2", "qwen/qwen-image-edit"} <= listed.keys()
    assert outcomes["model"]["data"] == listed[MODEL]
    wanted = ("NotFoundError", 404, "model_capability_mismatch", "invalid_request_error", "model")
    assert told(outcomes["no such model"]) == wanted


def test_the_lock_file_names_no_registry() -> None:
    lock = (NODE_FOLDER / "package-lock.json").read_text(encoding="utf-8")
    assert "://" not in lock
    assert "resolved" not in lock
    assert json.loads(lock)["packages"]["node_modules/openai"]["version"] == "6.49.0"
