"""Answers that arrived are told to the service several at a time."""

from __future__ import annotations

import threading
from typing import Any

import grpc

from gateway_http.confirmations import MOST, TIMEOUT, Confirmations
from tests.running import eventually

ONE = (("x-request-id", "r1"), ("authorization", "Bearer one"), ("idempotency-key", "k"))
OTHER = (("x-request-id", "r2"), ("authorization", "Bearer other"))


class Stub:
    """Notes what it is told, and then fails as a service that is gone does."""

    def __init__(self) -> None:
        self.told: list[tuple[str, list[str]]] = []
        self.metadata: list[Any] = []

    def ConfirmDelivery(self, request: Any, timeout: float, metadata: Any) -> None:  # noqa: N802
        assert timeout == TIMEOUT
        self.told.append(
            (dict(metadata)["authorization"], [request.edit_id, *request.more_edit_ids])
        )
        self.metadata.append(metadata)
        raise grpc.RpcError


def test_what_comes_together_is_told_together() -> None:
    stub = Stub()
    confirmations = Confirmations(lambda: stub, seconds=60)
    for edit_id in ("a", "b", "c"):
        confirmations.add(ONE, edit_id)
    confirmations.add(OTHER, "d")
    confirmations.tell()
    assert stub.told == [("Bearer one", ["a", "b", "c"]), ("Bearer other", ["d"])]
    assert stub.metadata[0] == ONE[:2]
    confirmations.tell()
    assert len(stub.told) == 2


def test_no_call_tells_too_many() -> None:
    stub = Stub()
    confirmations = Confirmations(lambda: stub, seconds=60)
    for number in range(MOST + 1):
        confirmations.add(ONE, str(number))
    confirmations.tell()
    assert [len(edits) for _, edits in stub.told] == [MOST, 1]


def test_it_is_told_by_itself_again_and_again() -> None:
    stub = Stub()
    confirmations = Confirmations(lambda: stub, seconds=0.01)
    for number in range(3):
        confirmations.add(ONE, str(number))
        assert eventually(lambda: len(stub.told) == number + 1, 5)  # noqa: B023


def test_what_no_thread_could_tell_is_told_with_the_next() -> None:
    stub = Stub()
    confirmations = Confirmations(lambda: stub, seconds=0.01)
    usual = threading.stack_size(1 << 46)  # more than there is address space
    try:
        confirmations.add(ONE, "a")
    finally:
        threading.stack_size(usual)
    confirmations.add(ONE, "b")
    assert eventually(lambda: stub.told == [("Bearer one", ["a", "b"])], 5)
