"""Hostile and broken answers: a provider never raises, never leaks, and errs on the safe side."""

from __future__ import annotations

import base64
import json
import math
from dataclasses import astuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.providers.base import Answer, Delivery, Failure, FailureKind
from server.providers.registry import PROVIDERS
from tests import whole
from tests.fake_keys import KEYS

CALLER_FIELDS = {
    "image", "mask", "prompt", "size", "quality", "background", "user", "seed", "moderation",
    "output_format", "output_compression", "input_fidelity",
}  # fmt: skip
BILLED_ELSEWHERE = ("openai", "siliconflow")

STATUSES = "200 201 204 301 400 401 402 403 404 408 409 413 422 429 451 500 502 503 504 524 529"
NAMES = (
    "error message code type param metadata raw reasons detail loc msg data images url b64_json "
    "usage input_tokens path input_tokens_details text_tokens availability retry_after "
    "limit_source error_type success name quality prompt_tokens completion_tokens"
)
HEADERS = "retry-after retry-after-ms content-type x-request-id x-siliconcloud-trace-id"
TELLING_WORDS = (
    "invalid_request_error",
    "insufficient_quota",
    "moderation_blocked",
    "image[0]",
    "mask",
    "The model `x` does not exist",
    "rejected by the safety system",
    "refusal",
    "20012",
    "https://example.com/x.png",
    "aGVsbG8=",
    "data:image/png;base64,aGVsbG8=",
    "data:",
)
statuses = st.sampled_from([int(status) for status in STATUSES.split()])
keys = st.sampled_from(KEYS)
# Text with a key in it, glued to what is around it.
leaks = st.builds(lambda *parts: "".join(parts), st.text(max_size=8), keys, st.text(max_size=8))
words = st.one_of(st.text(max_size=30), leaks, st.sampled_from(TELLING_WORDS))
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    words,
    st.sampled_from((400, 402, 429, 502, 20012, 30001, 30003, 50505)),
)
names = st.one_of(st.text(max_size=5), st.sampled_from(NAMES.split()))
documents = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=5),
    max_leaves=20,
)
# Errors that get past the front door: the vendors' frames with anything in them.
errors = st.dictionaries(names, documents, max_size=6)
framed = st.one_of(
    documents,
    st.builds(lambda inner: {"error": inner}, errors),
    st.builds(lambda inner: {"error": {"message": json.dumps(inner)}}, documents),
    st.builds(lambda inner: {"error": {"message": "x", "metadata": inner}}, errors),
    st.builds(lambda inner: {"message": inner, "data": None}, words),
    st.builds(lambda inner: {"data": [{"b64_json": inner}], "usage": inner}, documents),
    st.builds(lambda inner: {"images": [{"url": inner}]}, documents),
)
bodies = st.one_of(
    st.binary(max_size=200),
    words.map(lambda text: text.encode("utf-8", "replace")),
    framed.map(lambda document: json.dumps(document).encode("utf-8", "replace")),
)
headers = st.dictionaries(
    st.sampled_from(HEADERS.split()),
    st.one_of(words, st.sampled_from(("7", "1e999", "-1", "nan", "٣", "0.5", "9" * 40))),
)
answers = st.builds(Answer, statuses, headers, bodies)


def outcomes(answer: Answer) -> list[Delivery | Failure]:
    """Return what every provider makes of an answer, read and explained."""
    return [
        make(answer)
        for provider in PROVIDERS.values()
        for make in (provider.read, provider.explain)
    ]


@settings(max_examples=whole.of(400, 100), deadline=None)
@given(answers)
def test_no_answer_makes_a_provider_raise_or_leak(answer: Answer) -> None:
    for outcome in outcomes(answer):
        if isinstance(outcome, Delivery):
            assert outcome.picture
            assert all(0 <= tokens < 2**31 for tokens in astuple(outcome.tokens))
            continue
        assert outcome.detail.startswith(f"HTTP {answer.status}")
        assert len(outcome.detail) <= 1_000
        assert outcome.detail.isprintable()
        assert not any(key in outcome.detail for key in KEYS)
        assert outcome.field is None or outcome.field in CALLER_FIELDS
        assert outcome.retry_after is None or 0 <= outcome.retry_after < math.inf
        if outcome.kind is not FailureKind.REFUSED:
            assert not outcome.moderation
            assert outcome.field is None
    # All of OpenRouter's failures are unbilled.
    assert PROVIDERS["openrouter"].explain(answer).kind is not FailureKind.UNKNOWN


@pytest.mark.parametrize("status", [408, 413, 500, 502, 503, 504, 520, 522, 524])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><title>502 Bad Gateway</title></html>",
        b"<!DOCTYPE html>",
        b"upstream connect error or disconnect/reset before headers",
        b"error code: 524",
        b"null",
        b"[]",
        b"{}",
        b'"Gateway Timeout"',
        b'{"status":502}',
        b'{"message":null}',
        b"\xff\xfe",
    ],
)
def test_what_is_not_the_vendors_own_shape_may_be_billed(status: int, body: bytes) -> None:
    for name in BILLED_ELSEWHERE:
        assert PROVIDERS[name].explain(Answer(status, {}, body)).kind is FailureKind.UNKNOWN
    unbilled = PROVIDERS["openrouter"].explain(Answer(status, {}, body))
    assert unbilled.kind is FailureKind.FAILED


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"error":' * 5_000 + b"1" + b"}" * 5_000,
        b'{"error":{"message":"' + b"model " * 1_000_000 + b'"}}',
        b'{"message":"' + b"model " * 1_000_000 + b'","data":null}',
        b'{"error":{"message":"' + b"sk-" * 1_000_000 + b'"}}',
        b'{"error":{"code":' + b"9" * 300 + b',"message":"x"}}',
        b'{"code":' + b"9" * 5_000 + b',"message":"x"}',
        b'"' + b"a" * 5_000_000 + b'"',
    ],
    ids=lambda body: repr(body[:24]),
)
@pytest.mark.timeout(5)
def test_deep_and_huge_answers_are_no_trouble(body: bytes) -> None:
    for status in (200, 400, 403, 500):
        for outcome in outcomes(Answer(status, {}, body)):
            assert isinstance(outcome, Failure)
            assert len(outcome.detail) <= 1_000


@given(st.binary(min_size=1, max_size=2_000), st.booleans())
def test_a_picture_comes_back_byte_for_byte(data: bytes, as_url: bool) -> None:
    encoded = base64.b64encode(data).decode()
    value = f"data:image/png;base64,{encoded}" if as_url else encoded
    answer = Answer(200, {}, json.dumps({"data": [{"b64_json": value}]}).encode())
    for name in ("openai", "openrouter"):
        assert PROVIDERS[name].read(answer) == Delivery(data)
