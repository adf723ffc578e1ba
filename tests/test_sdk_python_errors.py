"""What OpenAI's Python package raises, and how often it submits, with its own default retries."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types import ImagesResponse

from sandbox.server import SandboxServer
from server.accounts.key_format import new_key
from tests.pictures import bomb_png
from tests.running import Gateway
from tests.sdk_pictures import MODEL, OTHER, PHOTO, REQUEST_ID, assert_inverted, submissions

PATIENT = "invert patiently [sandbox error429 first=1]"


@pytest.fixture(scope="module")
def client(gateway: Gateway) -> Iterator[openai.OpenAI]:
    """The client as a user makes it."""
    with openai.OpenAI(base_url=gateway.url + "/v1", api_key=gateway.key) as made:
        yield made


@pytest.fixture(scope="module", autouse=True)
def patient_edit(client: openai.OpenAI) -> Iterator[Future[ImagesResponse]]:
    """An edit that meets a busy upstream once; it waits out Retry-After beside the other tests."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(client.images.edit, model=MODEL, image=PHOTO, prompt=PATIENT)


@dataclass(frozen=True)
class Failure:
    """A call that fails, and what the package makes of it."""

    raises: type[openai.APIStatusError]
    status: int
    code: str
    type: str
    param: str | None = None
    call: dict[str, Any] = field(default_factory=dict)
    key: str = ""  # "": the gateway's own


REQUEST = ("invalid_request_error", "invalid_request_error")
UPSTREAM = ("upstream_error", "upstream_error")
KEY = ("invalid_api_key", "invalid_request_error")
MODEL_MISMATCH = ("model_capability_mismatch", "invalid_request_error")
BAD = openai.BadRequestError
# The package has no class of its own for 413.
FAILURES = {
    "unknown key": Failure(openai.AuthenticationError, 401, *KEY, key=new_key()),
    "malformed key": Failure(openai.AuthenticationError, 401, *KEY, key="sk-nonsense"),
    "unknown model": Failure(BAD, 400, *MODEL_MISMATCH, "model", {"model": "acme/unknown"}),
    "bad picture": Failure(BAD, 400, *REQUEST, "image", {"image": b"GIF89a"}),
    "bad second picture": Failure(BAD, 400, *REQUEST, "image[1]", {"image": [PHOTO, b"no"]}),
    "mask of another size": Failure(BAD, 400, *REQUEST, "mask", {"mask": OTHER}),
    "two pictures wanted": Failure(BAD, 400, *REQUEST, "n", {"n": 2}),
    "unknown field": Failure(BAD, 400, *REQUEST, "tone", {"extra_body": {"tone": "warm"}}),
    "moderation": Failure(BAD, 400, *REQUEST, None, {"prompt": "invert [sandbox moderation]"}),
    "over the pixel limit": Failure(
        openai.APIStatusError, 413, *REQUEST, "image", {"image": bomb_png()}
    ),
    "upstream failed": Failure(
        openai.InternalServerError, 502, *UPSTREAM, None, {"prompt": "invert [sandbox error500]"}
    ),
}


def fail(gateway: Gateway, failure: Failure) -> openai.APIStatusError:
    """Make the call with the package's default of two retries; return what it raises."""
    key, call = failure.key or gateway.key, {"model": MODEL, "image": PHOTO, "prompt": "invert"}
    with (
        openai.OpenAI(base_url=gateway.url + "/v1", api_key=key) as client,
        pytest.raises(openai.APIStatusError) as caught,
    ):
        client.images.edit(**call | failure.call)
    return caught.value


def check(error: openai.APIStatusError, failure: Failure) -> None:
    assert type(error) is failure.raises
    assert error.status_code == failure.status
    assert (error.code, error.type, error.param) == (failure.code, failure.type, failure.param)
    assert re.fullmatch(REQUEST_ID, error.request_id or "")


@pytest.mark.parametrize("name", FAILURES)
def test_errors_are_the_packages_own(gateway: Gateway, name: str) -> None:
    check(fail(gateway, FAILURES[name]), FAILURES[name])


def test_a_body_over_the_limit_is_an_answer_and_no_broken_connection(gateway: Gateway) -> None:
    failure = Failure(openai.APIStatusError, 413, *REQUEST, call={"image": bytes(100_000_000)})
    check(fail(gateway, failure), failure)


WORK_BEGAN = ["error500", "reset", "close", "cut=50", "html502", "garbage", "empty", "badpicture"]


@pytest.mark.parametrize("fault", WORK_BEGAN)
def test_once_work_began_nothing_is_submitted_again(
    gateway: Gateway, sandbox: SandboxServer, fault: str
) -> None:
    prompt = f"invert once [sandbox {fault}]"
    failure = Failure(openai.InternalServerError, 502, *UPSTREAM, call={"prompt": prompt})
    check(fail(gateway, failure), failure)
    assert len(submissions(sandbox, prompt)) == 1


def test_a_time_out_is_not_submitted_again(sandbox: SandboxServer, tmp_path: Path) -> None:
    prompt = "invert in time [sandbox silent]"
    failure = Failure(openai.InternalServerError, 504, *UPSTREAM, call={"prompt": prompt})
    hasty = sandbox.environment() | {"IMAGEEDIT_ATTEMPT_TIMEOUT": "0.4"}
    with Gateway(hasty, tmp_path) as gateway:
        check(fail(gateway, failure), failure)
    assert len(submissions(sandbox, prompt)) == 1


def test_a_busy_upstream_without_retries(client: openai.OpenAI) -> None:
    failure = Failure(openai.InternalServerError, 503, *UPSTREAM)
    with pytest.raises(openai.APIStatusError) as caught:
        client.with_options(max_retries=0).images.edit(
            model=MODEL, image=PHOTO, prompt="invert [sandbox error429]"
        )
    check(caught.value, failure)
    assert caught.value.response.headers["retry-after"] == "7"


# Last, because it waits.
def test_a_busy_upstream_is_asked_again(
    patient_edit: Future[ImagesResponse], sandbox: SandboxServer
) -> None:
    data = patient_edit.result().data
    assert data is not None
    assert_inverted(base64.b64decode(data[0].b64_json or ""))
    first, second = submissions(sandbox, PATIENT)
    assert second.when - first.when >= 7
