"""The providers: any answer of a vendor is a delivery or a failure, told in safe words."""

from __future__ import annotations

import math

from server.providers.base import Answer, Delivery, Failure, RemoteImage
from server.providers.registry import PROVIDERS
from server.providers.vendor_words import MAX_DETAIL_CHARACTERS
from tests.golden_cases import ROOT, answer_of, cases

MAX_LENGTH = 4096
STATUSES = (
    *(200, 201, 204, 301, 400, 401, 402, 403, 404, 408, 409, 413, 422, 429, 451),
    *(500, 502, 503, 504, 524, 529),
)
HEADERS = ("retry-after", "retry-after-ms", "content-type", "x-request-id")


def _seed(answer: Answer) -> bytes:
    status = STATUSES.index(answer.status) if answer.status in STATUSES else 4
    header = answer.headers.get("retry-after", "7").encode()
    return bytes([status]) + header + b"\n" + answer.body[:3000]


SEEDS = tuple(
    _seed(answer_of(case)) for case in cases() if (ROOT / case / "response.json").exists()
)
WORDS = (
    *(b'{"error":{', b'"message":"', b'"code":', b'"type":"', b'"param":"', b'"metadata":{'),
    *(b'"raw":"', b'"reasons":[', b'"data":[{', b'"b64_json":"', b'"images":[{"url":"', b"null"),
    *(b'"usage":{', b'"input_tokens":', b'"detail":', b'"loc":[', b"1e999", b"-1", b"true", b"[]"),
    *(b'"availability":{"retry_after":', b"20012", b"30001", b'"path":[', b"sk-", b"Bearer "),
)


def check(data: bytes) -> None:
    """Give every vendor the answer in `data`: a status's number, a header's line, the body."""
    number, line, body = _parts(data)
    answer = Answer(STATUSES[number % len(STATUSES)], dict.fromkeys(HEADERS, line), body)
    for provider in PROVIDERS.values():
        _check(provider.explain(answer))
        if 200 <= answer.status < 300:
            _check(provider.read(answer))


def _parts(data: bytes) -> tuple[int, str, bytes]:
    line, _, body = data[1:].partition(b"\n")
    return (data[0] if data else 0), line.decode("latin-1"), body


def _check(reading: Delivery | Failure) -> None:
    if isinstance(reading, Delivery):
        tokens = reading.tokens
        picture = reading.picture
        if min(tokens.input, tokens.input_text, tokens.input_image, tokens.output) < 0:
            raise AssertionError(f"negative tokens: {tokens}")
        if not (picture.url if isinstance(picture, RemoteImage) else picture):
            raise AssertionError("a delivery of nothing")
        return
    if len(reading.detail) > MAX_DETAIL_CHARACTERS or not reading.detail.isprintable():
        raise AssertionError(f"no log may hold {reading.detail!r}")
    if not 0 <= (reading.retry_after or 0) < math.inf:
        raise AssertionError(f"nobody can wait for {reading.retry_after} seconds")
