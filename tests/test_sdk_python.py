"""OpenAI's own Python package against the gateway, with nothing set but `base_url` and the key."""

from __future__ import annotations

import asyncio
import base64
import io
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types import ImagesResponse
from PIL import Image

from sandbox.server import SandboxServer
from tests.pictures import encoded
from tests.running import Gateway
from tests.sdk_pictures import (
    BOX,
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


@pytest.fixture(scope="module")
def client(gateway: Gateway) -> Iterator[openai.OpenAI]:
    """The client as a user makes it."""
    with openai.OpenAI(base_url=gateway.url + "/v1", api_key=gateway.key) as made:
        yield made


def picture_of(result: ImagesResponse) -> bytes:
    assert result.data is not None
    (entry,) = result.data
    assert entry.b64_json is not None
    assert entry.url is None
    return base64.b64decode(entry.b64_json, validate=True)


def named(data: bytes, name: str) -> io.BytesIO:
    file = io.BytesIO(data)
    file.name = name
    return file


# How a caller may hand over a picture: a function of a file's path and of what closes it.
FORMS: dict[str, Callable[[Path, ExitStack], Any]] = {
    "open file": lambda path, stack: stack.enter_context(path.open("rb")),
    "path": lambda path, _: path,
    "bytes": lambda path, _: path.read_bytes(),
    "nameless BytesIO": lambda path, _: io.BytesIO(path.read_bytes()),
    "named BytesIO": lambda path, _: named(path.read_bytes(), "photo.png"),
    "tuple with type": lambda path, _: ("photo.png", path.read_bytes(), "image/png"),
    "tuple with a wrong type": lambda path, _: ("photo.txt", path.read_bytes(), "text/plain"),
    "list of one": lambda path, stack: [stack.enter_context(path.open("rb"))],
    "list of one path": lambda path, _: [path],
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_picture(
    client: openai.OpenAI, sandbox: SandboxServer, tmp_path: Path, form: str
) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(PHOTO)
    prompt = f"invert the {form}"
    with ExitStack() as stack:
        result = client.images.edit(model=MODEL, image=FORMS[form](path, stack), prompt=prompt)
    assert_inverted(picture_of(result))
    (call,) = submissions(sandbox, prompt)
    assert [(sent.width, sent.height, sent.content_type) for sent in call.pictures] == [
        (*SIZE, "image/png")
    ]


def test_a_list_of_two(client: openai.OpenAI, sandbox: SandboxServer, tmp_path: Path) -> None:
    path = tmp_path / "other.png"
    path.write_bytes(OTHER)
    prompt = "invert both"
    with path.open("rb") as file:
        result = client.images.edit(model=MODEL, image=[PHOTO, file], prompt=prompt)
    assert_inverted(picture_of(result))
    (call,) = submissions(sandbox, prompt)
    assert [(sent.width, sent.height) for sent in call.pictures] == [SIZE, OTHER_SIZE]


@pytest.mark.parametrize("model", ["openai/gpt-image-2", "qwen/qwen-image-edit"])
def test_models_of_other_vendors(client: openai.OpenAI, model: str) -> None:
    result = client.images.edit(model=model, image=PHOTO, prompt="invert")
    assert_inverted(picture_of(result))
    assert result.model_extra is not None
    assert result.model_extra["model"] == model


@pytest.mark.parametrize("form", [form for form in FORMS if not form.startswith("list")])
def test_every_form_of_a_mask(client: openai.OpenAI, tmp_path: Path, form: str) -> None:
    path = tmp_path / "mask.png"
    path.write_bytes(MASK)
    with ExitStack() as stack:
        given = FORMS[form](path, stack)
        answer = client.images.with_raw_response.edit(
            model=MODEL, image=PHOTO, prompt="invert", mask=given
        )
    assert_inverted_in_the_box(picture_of(answer.parse()))
    assert answer.headers["x-mask-method"] == "native"


def test_a_parameter_of_ours_goes_in_the_extra_body(client: openai.OpenAI) -> None:
    mask = Image.new("L", SIZE)
    mask.paste(255, BOX)
    result = client.images.edit(
        model=MODEL,
        image=PHOTO,
        prompt="invert",
        mask=encoded(mask, "PNG"),
        extra_body={"mask_convention": "luminance"},
    )
    assert_inverted_in_the_box(picture_of(result))


@pytest.mark.parametrize("output_format", ["png", "jpeg", "webp"])
def test_every_output_format(client: openai.OpenAI, output_format: Any) -> None:
    result = client.images.edit(
        model=MODEL, image=PHOTO, prompt="invert", output_format=output_format
    )
    picture = picture_of(result)
    with Image.open(io.BytesIO(picture)) as image:
        assert (image.format or "").lower() == output_format == result.output_format
        assert f"{image.width}x{image.height}" == result.size
    assert_inverted(picture)


def test_every_parameter_that_the_package_names(
    client: openai.OpenAI, sandbox: SandboxServer
) -> None:
    prompt = "invert with everything"
    answer = client.images.with_raw_response.edit(
        model=MODEL,
        image=PHOTO,
        prompt=prompt,
        n=1,
        size="1536x1024",
        quality="low",
        background="opaque",
        input_fidelity="high",
        output_format="jpeg",
        output_compression=80,
        response_format="b64_json",
        stream=False,
        user="someone",
    )
    result = answer.parse()
    assert (result.size, result.quality, result.background) == ("1536x1024", "low", "opaque")
    assert "x-ignored-parameters" not in answer.headers
    (call,) = submissions(sandbox, prompt)
    assert call.fields.items() >= {"size": "1536x1024", "quality": "low", "user": "someone"}.items()


def test_usage_and_request_id(client: openai.OpenAI) -> None:
    result = client.images.edit(model=MODEL, image=PHOTO, prompt="invert")
    assert re.fullmatch(REQUEST_ID, result._request_id or "")
    usage = result.usage
    assert usage is not None
    assert usage.model_extra is not None
    assert usage.input_tokens > 0
    assert usage.output_tokens > 0
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens
    details = usage.input_tokens_details
    assert details.text_tokens + details.image_tokens == usage.input_tokens
    assert usage.model_extra["prompt_tokens"] == usage.input_tokens
    assert usage.model_extra["completion_tokens"] == usage.output_tokens
    assert usage.model_extra["cost"] > 0


def test_the_asynchronous_client(gateway: Gateway) -> None:
    async def edit() -> ImagesResponse:
        url = gateway.url + "/v1"
        async with openai.AsyncOpenAI(base_url=url, api_key=gateway.key) as client:
            return await client.images.edit(model=MODEL, image=[PHOTO, PHOTO], prompt="invert")

    assert_inverted(picture_of(asyncio.run(edit())))


def test_models(client: openai.OpenAI) -> None:
    listed = {model.id: model for model in client.models.list()}
    assert {MODEL, "openai/gpt-image-2", "qwen/qwen-image-edit"} <= listed.keys()
    for alias, model in listed.items():
        assert client.models.retrieve(alias) == model
        assert (model.object, model.owned_by) == ("model", alias.partition("/")[0])
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("acme/unknown")
    assert caught.value.code == "model_capability_mismatch"
