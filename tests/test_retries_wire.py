"""Repeats on the wire: what a caller without an SDK is told, and what is never submitted twice."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

import grpc
import pytest

from sandbox.server import SandboxServer
from tests.customers import ONE, RETRY, Customer, customer, post
from tests.edits import Edit, message, told_by_grpc
from tests.paid_keys import paid_key
from tests.retry_cases import LARGE
from tests.running import CHUNK, Gateway, eventually, stream_messages
from tests.sdk_pictures import MODEL, PHOTO

Answer = TypeVar("Answer")
RESULT = {"result", "result_chunk"}


@pytest.fixture(autouse=True)
def books_that_balance(gateway: Gateway) -> Iterator[None]:
    """After every test the audit finds nothing."""
    yield
    assert gateway.findings() == []


def keyed(key: str) -> dict[str, str]:
    return {"Idempotency-Key": key}


def at_once(count: int, act: Callable[[], Answer]) -> list[Answer]:
    with ThreadPoolExecutor(count) as pool:
        return [future.result() for future in [pool.submit(act) for _ in range(count)]]


@dataclass(frozen=True)
class Rpc:
    """An answer over gRPC: everything of it, and whether it is a stored one."""

    content: bytes
    replayed: bool


def unary(who: Customer, metadata: tuple[tuple[str, str], ...], words: str = "") -> Rpc:
    request = message(_edit(who, words), inline=True)
    said = (("authorization", f"Bearer {who.key}"), *metadata)
    with who.gateway.stub() as stub:
        response, call = stub.EditImage.with_call(request, metadata=said, timeout=30)
    return Rpc(response.SerializeToString(deterministic=True), _replayed(call))


def chunked(who: Customer, metadata: tuple[tuple[str, str], ...], words: str = "") -> Rpc:
    request = message(_edit(who, words), inline=False)
    said = (("authorization", f"Bearer {who.key}"), *metadata)
    with who.gateway.stub() as stub:
        call = stub.StreamEditImage(stream_messages(request, [PHOTO]), metadata=said, timeout=30)
        events = [event for event in call if event.WhichOneof("event") in RESULT]
        return Rpc(
            b"".join(event.SerializeToString(deterministic=True) for event in events),
            _replayed(call),
        )


def _edit(who: Customer, words: str) -> Edit:
    return Edit({"model": MODEL, "prompt": who.prompt(words)}, (PHOTO,))


def _replayed(call: grpc.Call) -> bool:
    return ("idempotent-replayed", "true") in (call.trailing_metadata() or ())


RPCS = {"unary": unary, "chunked": chunked}


@pytest.mark.parametrize("picture", ["photo.png", "large.png"])
def test_the_same_key_brings_the_same_bytes(
    gateway: Gateway, sandbox: SandboxServer, picture: str
) -> None:
    assert len(LARGE) > CHUNK
    who = customer(gateway)
    first, *later = (post(who, headers=keyed(key), picture=picture) for key in ("k", '"k"', "k"))
    assert first.status_code == 200
    assert "idempotent-replayed" not in first.headers
    for answer in later:
        assert (answer.status_code, answer.content) == (200, first.content)
        assert answer.headers["idempotent-replayed"] == "true"
        assert answer.headers["x-request-id"] != first.headers["x-request-id"]
    assert who.tally(sandbox) == ONE


@pytest.mark.parametrize("door", RPCS)
def test_the_same_key_brings_the_same_message(
    gateway: Gateway, sandbox: SandboxServer, door: str
) -> None:
    who, key = customer(gateway), (("idempotency-key", "k"),)
    first, second = (RPCS[door](who, key) for _ in range(2))
    assert (first.replayed, second.replayed) == (False, True)
    assert first.content == second.content
    assert post(who, headers=keyed("k")).headers["idempotent-replayed"] == "true"
    assert who.tally(sandbox) == ONE


def test_of_requests_at_once_with_one_key_one_is_submitted(
    gateway: Gateway, sandbox: SandboxServer
) -> None:
    who = customer(gateway)
    answers = at_once(6, lambda: post(who, "[sandbox delay=0.5]", keyed("k")))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    told = Counter(answer.headers.get("idempotent-replayed") for answer in answers)
    assert told == {"true": 5, None: 1}
    assert who.tally(sandbox) == ONE


@pytest.mark.parametrize("door", RPCS)
def test_of_calls_at_once_with_one_key_one_is_submitted(
    gateway: Gateway, sandbox: SandboxServer, door: str
) -> None:
    who, key = customer(gateway), (("idempotency-key", "k"),)
    answers = at_once(6, lambda: RPCS[door](who, key, "[sandbox delay=0.5]"))
    assert len({answer.content for answer in answers}) == 1
    assert sum(answer.replayed for answer in answers) == 5
    assert who.tally(sandbox) == ONE


def test_a_key_is_for_one_request(gateway: Gateway, sandbox: SandboxServer) -> None:
    who, key = customer(gateway), (("idempotency-key", "k"),)
    assert post(who, headers=keyed("k")).status_code == 200
    for fields in ({"prompt": "another"}, {"quality": "low"}, {"picture": "large.png"}):
        refused = post(who, headers=keyed("k"), **fields)
        assert refused.status_code == 422
        assert refused.json()["error"]["code"] == "idempotency_key_reused"
    for rpc in RPCS.values():
        with pytest.raises(grpc.RpcError) as caught:
            rpc(who, key, "[sandbox unchanged]")
        told = told_by_grpc(caught.value)
        assert (told.grpc, told.code) == ("ABORTED", "idempotency_key_reused")
    assert who.tally(sandbox) == ONE


@pytest.mark.parametrize("headers", [RETRY, keyed("theirs")], ids=["retry", "key"])
def test_another_account_never_gets_a_stored_result(
    gateway: Gateway, sandbox: SandboxServer, headers: dict[str, str]
) -> None:
    one = customer(gateway)
    other = Customer(gateway, (their := customer(gateway)).account_id, their.key, one.mark)
    answers = [post(who, headers=headers) for who in (one, other)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert not any("idempotent-replayed" in answer.headers for answer in answers)
    assert [who.tally(sandbox).charges for who in (one, other)] == [1, 1]
    assert one.tally(sandbox).submissions == 2


def test_a_retry_whose_first_attempt_never_came_is_no_original_of_another(
    gateway: Gateway, sandbox: SandboxServer
) -> None:
    """Two equal calls whose first attempts broke in the request: both are edits of their own."""
    who = customer(gateway)
    answers = [post(who, headers=RETRY) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    tally = who.tally(sandbox)
    assert (tally.submissions, tally.charges) == (2, 2)


def test_the_retry_of_a_refused_attempt_gets_no_other_call_s_picture(
    gateway: Gateway, sandbox: SandboxServer
) -> None:
    """Of two equal calls one is told to come again later; it is an edit of its own then."""
    who, words = customer(gateway), "[sandbox error429 first=1]"
    busy = post(who, words)
    assert busy.status_code == 503
    assert "x-should-retry" not in busy.headers
    assert post(who, words).status_code == 200
    assert eventually(lambda: any(edit.delivered for edit in who.edits()), seconds=8)
    assert post(who, words, RETRY).status_code == 200
    tally = who.tally(sandbox)
    assert (tally.billable, tally.charges) == (2, 2)


def test_the_retry_of_an_attempt_refused_for_its_rate_gets_no_other_call_s_picture(
    gateway: Gateway, sandbox: SandboxServer
) -> None:
    """Nobody read what it asked for, so only its coming again tells that it is no other's retry."""
    made, secret = paid_key(gateway.store, rate_limit=1)
    who = Customer(gateway, made.account_id, secret, uuid.uuid4().hex)
    assert post(who).status_code == 200
    assert post(who).status_code == 429
    replayed = []
    for _ in range(2):
        assert eventually(lambda: all(edit.delivered for edit in who.edits()), seconds=8)
        # A new key of the same account has a minute of its own.
        made, secret = gateway.keys.rotate(made.id, overlap_ms=60_000)
        answer = post(replace(who, key=secret), headers=RETRY)
        assert answer.status_code == 200
        replayed.append("idempotent-replayed" in answer.headers)
        del answer  # it keeps its connection, whose end says that it arrived
    # It came; what is asked for after it is a picture that some proxy lost.
    assert replayed == [False, True]
    tally = who.tally(sandbox)
    assert (tally.submissions, tally.charges) == (2, 2)
