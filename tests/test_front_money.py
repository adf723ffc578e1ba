"""GET /v1/credits and the estimate: HTTP in, the messages the service saw, exact dollars out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_http import estimate
from gateway_http.form import FormError
from imageedit.v1 import image_edit_pb2 as pb
from tests.fake_servicer import LIMITS, FakeServicer, Fault, serving
from tests.front_running import KEY, Front, in_process

CREDITS, ESTIMATE = "/v1/credits", "/v1/images/edits/estimate"
INT64 = 2**63 - 1


@pytest.fixture
def fake() -> Iterator[FakeServicer]:
    with serving() as fake:
        yield fake


@pytest.fixture
def front(fake: FakeServicer) -> Iterator[Front]:
    with in_process(fake) as front:
        yield front


def ask(front: Front, document: object, **headers: str) -> Any:
    data = document if isinstance(document, bytes) else json.dumps(document)
    return front.app.test_client().post(ESTIMATE, data=data, headers=KEY | headers)


@pytest.mark.parametrize(
    ("nanos", "shown"),
    [
        ((10 * 10**9, 250_000_001, 0), b'"balance":10,"held":0.250000001,"spent":0'),
        (
            (INT64, 1, -5),
            b'"balance":9223372036.854775807,"held":0.000000001,"spent":-0.000000005',
        ),
    ],
)
def test_credits_are_exact_dollars(
    fake: FakeServicer, front: Front, nanos: tuple[int, int, int], shown: bytes
) -> None:
    balance, held, spent = nanos
    found = pb.GetCreditsResponse(balance_nanos=balance, held_nanos=held, spent_nanos=spent)
    fake.queue("GetCredits", found, metadata=LIMITS)
    answer = front.app.test_client().get(CREDITS, headers=KEY)
    assert (answer.status_code, answer.data) == (200, b'{"object":"credits",' + shown + b"}")
    assert answer.content_type == "application/json"
    assert answer.headers["X-RateLimit-Limit"] == "60"
    assert answer.headers["X-RateLimit-Remaining"] == "59"
    (call,) = fake.calls
    assert call.metadata["authorization"] == KEY["Authorization"]
    assert call.metadata["x-request-id"] == answer.headers["x-request-id"]


ERRORS = [
    (Fault(grpc.StatusCode.UNAUTHENTICATED, "INVALID_API_KEY"), 401, "invalid_api_key"),
    (Fault(grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMIT_EXCEEDED", retry_after=3), 429,
     "rate_limit_exceeded"),
    (Fault(grpc.StatusCode.UNAVAILABLE, "UPSTREAM_ERROR", retry_after=2), 503, "upstream_error"),
]  # fmt: skip


@pytest.mark.parametrize(("fault", "status", "code"), ERRORS)
def test_errors_are_the_services(
    fake: FakeServicer, front: Front, fault: Fault, status: int, code: str
) -> None:
    fake.queue("GetCredits", fault, metadata=LIMITS)
    fake.queue("EstimateCost", fault, metadata=LIMITS)
    for answer in (
        front.app.test_client().get(CREDITS, headers=KEY),
        ask(front, {"model": "a/b"}),
    ):
        assert (answer.status_code, answer.json["error"]["code"]) == (status, code)
        assert answer.headers["X-RateLimit-Limit"] == "60"


QUESTIONS = [
    ({"model": "a/b"}, {"model": "a/b"}),
    ({"model": "a/b", "prompt": "ein Bär 🐻"}, {"model": "a/b", "prompt": "ein Bär 🐻"}),
    ({"model": "a/b", "size": "auto"}, {"model": "a/b", "size": "auto"}),
    ({"model": "a/b", "size": "1024x768"}, {"model": "a/b", "size": "1024x768"}),
    ({"model": "a/b", "quality": "high"}, {"model": "a/b", "quality": pb.QUALITY_HIGH}),
    ({"model": "a/b", "images": 16}, {"model": "a/b", "image_count": 16}),
    ({"model": "a/b", "mask": True}, {"model": "a/b", "masked": True}),
    ({"model": "a/b", "image_size": "640x480"}, {"model": "a/b", "image_size": "640x480"}),
    ({"model": "a/b", "mask": None, "size": None, "quality": None, "images": None, "prompt": None},
     {"model": "a/b"}),
    ({}, {}),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "seen"), QUESTIONS)
def test_an_estimate(
    fake: FakeServicer, front: Front, asked: dict[str, object], seen: dict[str, Any]
) -> None:
    said = pb.EstimateCostResponse(model="a/b", max_cost_nanos=257_424_001)
    fake.queue("EstimateCost", said, metadata=LIMITS)
    answer = ask(front, asked)
    assert answer.status_code == 200
    assert answer.data == b'{"object":"cost_estimate","model":"a/b","max_cost":0.257424001}'
    assert answer.headers["X-RateLimit-Remaining"] == "59"
    assert fake.methods == ["EstimateCost"]
    assert fake.calls[0].messages == [pb.EstimateCostRequest(**{"image_count": 1} | seen)]


REFUSED = [
    (b"", None, "JSON"),
    (b"{", None, "JSON"),
    (b"[" * 100_000, None, "JSON"),
    (b'{"prompt": "\xff"}', None, "JSON"),
    (b'{"prompt": "\\ud800"}', None, "JSON"),
    ([], None, "JSON object"),
    ("model", None, "JSON object"),
    ({"colour": 1}, "colour", "not a field"),
    ({"": 1}, None, "not a field"),
    ({"n": 1}, "n", "not a field"),
    ({"model": 1}, "model", "must be a text"),
    ({"prompt": ["a"]}, "prompt", "must be a text"),
    ({"size": "big"}, "size", "WIDTHxHEIGHT"),
    ({"size": 1024}, "size", "must be a text"),
    ({"image_size": 1024}, "image_size", "must be a text"),
    ({"quality": "ultra"}, "quality", "auto, low, medium or high"),
    ({"images": 0}, "images", "1 to 16"),
    ({"images": 17}, "images", "1 to 16"),
    ({"images": True}, "images", "1 to 16"),
    ({"images": 1.0}, "images", "1 to 16"),
    ({"images": "1"}, "images", "1 to 16"),
    ({"mask": 1}, "mask", "true or false"),
    ({"mask": "true"}, "mask", "true or false"),
]


@pytest.mark.parametrize(("asked", "param", "says"), REFUSED, ids=range(len(REFUSED)))
def test_a_question_that_is_refused(
    fake: FakeServicer, front: Front, asked: object, param: str | None, says: str
) -> None:
    fake.accept_key()
    answer = ask(front, asked)
    assert answer.status_code == 400
    error = answer.json["error"]
    assert error["param"] == param
    assert says in error["message"]
    assert error["type"] == error["code"] == "invalid_request_error"
    assert answer.headers["X-RateLimit-Remaining"] == "59"
    assert fake.methods == ["CheckKey"]


def test_the_longest_prompt_fits_and_a_larger_body_is_a_413(
    fake: FakeServicer, front: Front
) -> None:
    prompt = "😀" * 32_000  # twelve bytes each, as JSON escapes them
    fake.queue("EstimateCost", pb.EstimateCostResponse(model="a/b"))
    assert ask(front, {"model": "a/b", "prompt": prompt}).status_code == 200
    assert fake.calls[0].messages[0].prompt == prompt
    fake.accept_key()
    answer = ask(front, b" " * (estimate.MAX_BODY + 1))
    assert (answer.status_code, answer.json["error"]["type"]) == (413, "invalid_request_error")
    assert answer.headers["X-RateLimit-Limit"] == "60"


def test_a_wrong_key_comes_before_a_wrong_question(fake: FakeServicer, front: Front) -> None:
    fake.refuse_key()
    answer = ask(front, {"colour": 1})
    assert (answer.status_code, answer.json["error"]["code"]) == (401, "invalid_api_key")


documents = st.dictionaries(
    st.sampled_from(sorted(estimate.FIELDS)) | st.text(max_size=8),
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text()),
)


@given(documents)
def test_no_question_makes_a_crash(document: dict[str, object]) -> None:
    try:
        read = estimate.read(document)
    except FormError as error:
        assert error.status == 400  # noqa: PT017 - both ends are fine
    else:
        assert 1 <= read.image_count <= 16
        assert set(document) <= estimate.FIELDS


@given(st.integers(-INT64 - 1, INT64))
def test_every_amount_is_the_same_number(nanos: int) -> None:
    from gateway_http import render

    found = pb.GetCreditsResponse(balance_nanos=nanos)
    assert json.loads(render.balance(found), parse_float=Decimal, parse_int=Decimal)[
        "balance"
    ] == Decimal(nanos).scaleb(-9)
