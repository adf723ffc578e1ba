"""Who may not edit is told before a large upload is read, and every client hears it."""

from __future__ import annotations

import io
import json
import select
import socket
from collections.abc import Callable, Mapping
from typing import Any

import openai
import pytest
import requests

from server.accounts.key_format import new_key
from tests.customers import Customer, customer
from tests.edits import IMAGE
from tests.paid_keys import new_id, paid_key
from tests.running import Gateway, eventually

MODEL = "black-forest-labs/flux-kontext-dev"
UPLOAD = 60_000_000
READ = 1_048_576  # bytes that the front may read of an upload that it refuses
BUFFERS = 8 * 1_048_576  # bytes that two kernels may take beside that
TIMES = 20
PIECE = 65_536


def _form(file: bytes) -> bytes:
    fields = {"model": MODEL, "prompt": "sepia"}
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'
        for name, text in fields.items()
    ]
    parts.append('--b\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n')
    return "".join(parts).encode() + file + b"\r\n--b--\r\n"


# What follows a PNG's end is no part of the picture, so this is an edit like any other.
PADDED = IMAGE + bytes(UPLOAD)
BODY = _form(PADDED)
TYPE = {"Content-Type": "multipart/form-data; boundary=b"}


def nobody(_: Gateway) -> str:
    return new_key()


def poor(gateway: Gateway) -> str:
    return paid_key(gateway.store, credit=0)[1]


def used_up(gateway: Gateway) -> str:
    secret = paid_key(gateway.store, rate_limit=1)[1]
    assert post(gateway, secret, _form(IMAGE)).status_code == 200
    return secret


REFUSED: dict[int, Callable[[Gateway], str]] = {401: nobody, 402: poor, 429: used_up}


def post(
    gateway: Gateway, key: str, body: bytes, headers: Mapping[str, str] | None = None
) -> requests.Response:
    """Upload a form as requests does: the answer is looked for once all is sent."""
    return requests.post(
        f"{gateway.url}/v1/images/edits",
        data=body,
        headers={"authorization": f"Bearer {key}", **TYPE, **(headers or {})},
        timeout=30,
    )


def read_by_front(gateway: Gateway, request_id: str) -> int:
    """Return how many bytes of a request's body the front took from its connection."""
    found: list[int] = []

    def written() -> bool:  # which is after the answer
        found.extend(
            int(line["bytes_in"])
            for line in map(json.loads, gateway.log.getvalue().splitlines())
            if line.get("event") == "request" and line["request_id"] == request_id
        )
        return bool(found)

    assert eventually(written)
    return found[0]


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("status", REFUSED)
def test_a_refusal_comes_before_the_body_is_read(
    gateway: Gateway, status: int, chunked: bool
) -> None:
    """The client sends until it sees an answer; what it could send is what buffers took."""
    host, port = gateway.url.removeprefix("http://").split(":")
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(BODY)}"
    head = (
        f"POST /v1/images/edits HTTP/1.1\r\nHost: {host}\r\n{framing}\r\n"
        f"Authorization: Bearer {REFUSED[status](gateway)}\r\n"
        f"Content-Type: {TYPE['Content-Type']}\r\n\r\n"
    ).encode()
    body = memoryview(b"%x\r\n" % len(BODY) + BODY + b"\r\n0\r\n\r\n" if chunked else BODY)
    with socket.create_connection((host, int(port)), timeout=10) as wire:
        wire.sendall(head)
        wire.setblocking(False)
        sent = 0
        while not select.select([wire], [], [], 0)[0]:
            assert sent < len(body), "all was taken, and there is no answer"
            select.select([wire], [wire], [], 10)
            try:
                sent += wire.send(body[sent : sent + PIECE])
            except BlockingIOError:
                continue
        wire.setblocking(True)
        answer = b"".join(iter(lambda: wire.recv(PIECE), b""))
    lines = answer.decode("latin-1").lower().split("\r\n")
    assert lines[0].startswith(f"http/1.1 {status} ")
    assert "connection: close" in lines
    (request_id,) = (line[14:] for line in lines if line.startswith("x-request-id: "))
    assert read_by_front(gateway, request_id) <= READ
    assert sent <= READ + BUFFERS


@pytest.mark.parametrize("status", REFUSED)
def test_requests_sees_every_refusal(gateway: Gateway, status: int) -> None:
    key = REFUSED[status](gateway)
    answers = [post(gateway, key, BODY) for _ in range(TIMES)]
    assert [answer.status_code for answer in answers] == [status] * TIMES
    assert all(set(answer.json()) == {"error"} for answer in answers)
    assert max(read_by_front(gateway, answer.headers["x-request-id"]) for answer in answers) <= READ


@pytest.mark.parametrize("status", REFUSED)
def test_openais_package_sees_every_refusal(gateway: Gateway, status: int) -> None:
    key, seen = REFUSED[status](gateway), []
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=key, max_retries=0) as client:
        for _ in range(TIMES):
            with pytest.raises(openai.APIStatusError) as refused:
                client.images.edit(model=MODEL, image=io.BytesIO(PADDED), prompt="sepia")
            seen.append((refused.value.status_code, refused.value.code is not None))
            assert read_by_front(gateway, refused.value.request_id or "") <= READ
    assert seen == [(status, True)] * TIMES


def test_what_the_form_must_say_first_is_refused_after_it(gateway: Gateway) -> None:
    """Which model a key may use is known once the form is."""
    key, secret = gateway.keys.create("narrow", models=["qwen/qwen-image-edit"])
    gateway.service.desk.ledger.top_up(key.account_id, 10**9)
    answer = post(gateway, secret, BODY)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "permission_denied")
    assert read_by_front(gateway, answer.headers["x-request-id"]) == len(BODY)


def spend_all(who: Customer) -> None:
    """Leave nothing on the account."""
    ledger = who.gateway.service.desk.ledger
    ledger.top_up(who.account_id, -ledger.balance(who.account_id).posted)
    assert post(who.gateway, who.key, BODY).status_code == 402


@pytest.mark.parametrize(
    ("first", "again"),
    [
        ({"Idempotency-Key": "one"}, {"Idempotency-Key": "one"}),
        ({}, {"x-stainless-retry-count": "1"}),
        ({"Idempotency-Key": "two"}, {"Idempotency-Key": "two", "x-stainless-retry-count": "1"}),
    ],
    ids=["by key", "by number", "by both"],
)
def test_a_large_repeat_is_read_and_gets_its_answer_with_no_credit_left(
    gateway: Gateway, first: dict[str, str], again: dict[str, str]
) -> None:
    who = customer(gateway)
    original = post(gateway, who.key, BODY, first)
    assert original.status_code == 200
    spend_all(who)
    replay = post(gateway, who.key, BODY, again)
    assert (replay.status_code, replay.headers["idempotent-replayed"]) == (200, "true")
    assert replay.content == original.content
    assert read_by_front(gateway, replay.headers["x-request-id"]) == len(BODY)
    assert len(who.edits()) == 1


def test_a_large_retry_of_nothing_is_refused_once_it_is_read(gateway: Gateway) -> None:
    """Only its content could tell what it repeats; an unknown key is told at once."""
    who = customer(gateway, credit=0)
    read = []
    for headers in ({"x-stainless-retry-count": "2"}, {"Idempotency-Key": "new"}):
        answer = post(gateway, who.key, BODY, headers)
        assert (answer.status_code, answer.headers["x-should-retry"]) == (402, "false")
        read.append(read_by_front(gateway, answer.headers["x-request-id"]))
    assert read[0] == len(BODY)
    assert read[1] <= READ


def test_a_large_repeat_gets_its_answer_with_the_rate_used_up(gateway: Gateway) -> None:
    secret = paid_key(gateway.store, rate_limit=1)[1]
    key: dict[str, Any] = {"Idempotency-Key": new_id()}
    original, replay = (post(gateway, secret, BODY, key) for _ in range(2))
    assert (original.status_code, replay.status_code) == (200, 200)
    assert (replay.content, replay.headers["idempotent-replayed"]) == (original.content, "true")
    assert post(gateway, secret, BODY, {"Idempotency-Key": new_id()}).status_code == 429
