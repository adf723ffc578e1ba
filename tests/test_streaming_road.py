"""stream=true on the whole road: every model, OpenAI's SDK, impatient proxies, repeats, money."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

import openai
import pytest
import requests
from openai.types import ImageEditCompletedEvent, ImageEditPartialImageEvent

from sandbox.server import SandboxServer
from server.catalog import Model
from server.catalog_file import load
from tests.customers import ONE, RETRY, Customer, customer
from tests.impatient_proxy import impatient
from tests.interrupted import LARGE
from tests.pictures import decoded
from tests.running import Gateway, eventually
from tests.sdk_pictures import (
    MASK,
    MODEL,
    PHOTO,
    assert_inverted,
    assert_inverted_in_the_box,
)

VENDORS = ("openai", "openrouter", "siliconflow")
MODELS = load(None, VENDORS, VENDORS).models
ONE_OF_EACH_VENDOR = list({model.routes[0].provider: model for model in MODELS}.values())
WORK = 1.2  # seconds that the upstream takes, and what a proxy waits for the next bytes:
PATIENCE = 0.6
KEYED = {"Idempotency-Key": "one"}
STREAMED = {"stream": "true"}


@pytest.fixture(scope="module")
def gateway(sandbox: SandboxServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway whose comments come often."""
    folder = tmp_path_factory.mktemp("streaming")
    with Gateway(sandbox.environment(), folder, progress_seconds=0.1) as running:
        yield running


@pytest.fixture
def who(gateway: Gateway) -> Customer:
    return customer(gateway)


def sdk(who: Customer, url: str = "") -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url or who.gateway.url}/v1", api_key=who.key, max_retries=0)


def post(
    who: Customer,
    url: str = "",
    words: str = "",
    *,
    headers: Mapping[str, str] | None = None,
    **fields: str,
) -> requests.Response:
    return requests.post(
        f"{url or who.gateway.url}/v1/images/edits",
        data={"model": MODEL, "prompt": who.prompt(words), **fields},
        files={"image": ("photo.png", PHOTO)},
        headers={"authorization": f"Bearer {who.key}", **(headers or {})},
        timeout=30,
    )


def last(answer: requests.Response) -> dict[str, Any]:
    """Return the data of a stream's last event."""
    assert answer.headers["content-type"].startswith("text/event-stream"), answer.text
    data = [line for line in answer.text.splitlines() if line.startswith("data: ")]
    found: dict[str, Any] = json.loads(data[-1].removeprefix("data: "))
    return found


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.alias)
def test_every_model_streams(who: Customer, model: Model) -> None:
    """Checks with an upstream that gives the picture back, which takes no time."""
    with sdk(who) as client:
        prompt = who.prompt("[sandbox echo]")
        (done,) = client.images.edit(model=model.alias, image=PHOTO, prompt=prompt, stream=True)
    assert isinstance(done, ImageEditCompletedEvent)
    assert decoded(base64.b64decode(done.b64_json), "RGB") == decoded(PHOTO, "RGB")
    assert (done.model_extra or {})["model"] == model.alias
    assert done.usage.model_extra is not None
    (row,) = who.edits()
    assert row.cost == round(done.usage.model_extra["cost"] * 1e9) > 0


@pytest.mark.parametrize("model", ONE_OF_EACH_VENDOR, ids=lambda model: model.alias)
def test_every_vendors_pictures_on_the_way(who: Customer, model: Model) -> None:
    with sdk(who) as client:
        stream = client.images.edit(
            model=model.alias,
            image=PHOTO,
            mask=MASK,
            prompt=who.prompt(),
            stream=True,
            partial_images=2,
        )
        *partials, done = stream
    gives = model.routes[0].provider != "siliconflow"
    assert len(partials) == (2 if gives else 0)
    for event in partials:
        assert isinstance(event, ImageEditPartialImageEvent)
    assert isinstance(done, ImageEditCompletedEvent)
    assert_inverted_in_the_box(base64.b64decode(done.b64_json, validate=True))
    assert (done.size, done.output_format) == ("120x120", "png")
    extra = done.model_extra or {}
    assert extra["model"] == model.alias
    assert extra["mask_method"] == model.routes[0].mask_method
    assert ("partial_images" in extra.get("ignored_parameters", [])) is not gives


def test_a_stream_outlives_a_proxy_that_cuts_a_plain_answer(who: Customer) -> None:
    with impatient(who.gateway.url, PATIENCE) as url:
        with sdk(who, url) as client:
            *_, done = client.images.edit(
                model=MODEL, image=PHOTO, prompt=who.prompt(f"[sandbox delay={WORK}]"), stream=True
            )
            assert_inverted(base64.b64decode(done.b64_json))
        with pytest.raises(requests.ConnectionError):
            post(who, url, f"[sandbox delay={WORK} ]")
    assert [row.state for row in who.edits()] == ["posted", "posted"]


def test_the_sdk_raises_what_an_error_event_says(who: Customer) -> None:
    with sdk(who) as client:
        words = who.prompt("[sandbox late error500]")
        stream = client.images.edit(
            model=MODEL, image=PHOTO, prompt=words, stream=True, partial_images=1
        )
        assert next(stream).type == "image_edit.partial_image"
        with pytest.raises(openai.APIError, match="nothing was charged") as caught:
            next(stream)
        assert (caught.value.code, caught.value.type) == ("upstream_error", "upstream_error")
        with pytest.raises(openai.BadRequestError) as early:
            client.images.edit(model="acme/none", image=PHOTO, prompt="p", stream=True)
        assert early.value.code == "model_capability_mismatch"


def test_a_large_picture_streams(who: Customer) -> None:
    with sdk(who) as client:
        *_, done = client.images.edit(
            model=MODEL, image=LARGE, prompt=who.prompt("[sandbox echo]"), stream=True
        )
    assert len(base64.b64decode(done.b64_json)) > 4_000_000


WAYS: list[dict[str, str]] = [{}, STREAMED, STREAMED | {"partial_images": "2"}]


@pytest.mark.parametrize("first", WAYS, ids=str)
@pytest.mark.parametrize("second", WAYS, ids=str)
def test_a_repeat_may_take_the_other_form(
    who: Customer, sandbox: SandboxServer, first: dict[str, str], second: dict[str, str]
) -> None:
    pictures = []
    for replayed, fields in enumerate((first, second)):
        answer = post(who, headers=KEYED, **fields)
        assert answer.status_code == 200
        data = last(answer) if "stream" in fields else answer.json()["data"][0]
        pictures.append(data["b64_json"])
        told = answer.headers.get("idempotent-replayed", "false")
        assert told == ("true" if replayed else "false")
    assert pictures[0] == pictures[1]
    assert who.tally(sandbox) == ONE


def reached(who: Customer, sandbox: SandboxServer) -> bool:
    """Wait for the upstream to have the edit."""
    return eventually(lambda: any(who.mark in str(call.fields) for call in sandbox.calls))


def test_a_client_that_leaves_has_its_picture_kept(who: Customer, sandbox: SandboxServer) -> None:
    words = f"[sandbox delay={WORK / 2}]"
    with sdk(who) as client:
        stream = client.images.edit(
            model=MODEL, image=PHOTO, prompt=who.prompt(words), stream=True, extra_headers=KEYED
        )
        assert reached(who, sandbox)
        stream.response.close()
    again = post(who, words=words, headers=KEYED, **STREAMED)
    assert last(again)["idempotent_replayed"] is True
    assert_inverted(base64.b64decode(last(again)["b64_json"]))
    assert who.tally(sandbox) == ONE


def test_an_automatic_retry_of_a_broken_stream_finds_its_original(
    who: Customer, sandbox: SandboxServer
) -> None:
    words = f"[sandbox delay={WORK / 2}]"
    with sdk(who) as client:
        stream = client.images.edit(model=MODEL, image=PHOTO, prompt=who.prompt(words), stream=True)
        assert reached(who, sandbox)
        stream.response.close()
    again = post(who, words=words, headers=RETRY, **STREAMED)
    assert_inverted(base64.b64decode(last(again)["b64_json"]))
    assert who.tally(sandbox) == ONE


def test_a_poor_customer_is_told_before_the_stream_begins(gateway: Gateway) -> None:
    answer = post(customer(gateway, credit=1), **STREAMED)
    assert (answer.status_code, answer.json()["error"]["code"]) == (402, "insufficient_credits")
    assert answer.headers["x-should-retry"] == "false"


def test_comments_come_while_the_upstream_works(who: Customer) -> None:
    began = time.monotonic()
    answer = post(who, words=f"[sandbox delay={WORK / 2}]", **STREAMED)
    assert time.monotonic() - began >= WORK / 2
    assert answer.text.count(": still at work\n\n") >= 3


def test_the_same_edit_as_form_and_as_json_is_the_same_request(
    who: Customer, sandbox: SandboxServer
) -> None:
    first = post(who, headers=KEYED, quality="low")
    url = "data:image/png;base64," + base64.b64encode(PHOTO).decode()
    document = {"images": [{"image_url": url}], "quality": "low", "stream": True}
    second = requests.post(
        f"{who.gateway.url}/v1/images/edits",
        json={"model": MODEL, "prompt": who.prompt(), **document},
        headers={"authorization": f"Bearer {who.key}", **KEYED},
        timeout=30,
    )
    assert second.headers["idempotent-replayed"] == "true"
    assert last(second)["b64_json"] == first.json()["data"][0]["b64_json"]
    assert who.tally(sandbox) == ONE
