"""Operations over gRPC: an edit that goes on by itself, in the field's shape for such."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from imageedit.v1 import image_edit_pb2 as pb
from imageedit.v1.image_edit_pb2_grpc import ImageEditStub
from sandbox.server import SandboxServer
from tests.customers import ONE, Customer, customer
from tests.edits import Edit, message, told_by_grpc
from tests.interrupted import LARGE
from tests.pictures import decoded
from tests.running import CHUNK, Gateway, stream_messages
from tests.sdk_pictures import MODEL

SLOW = "[sandbox delay=1.5]"  # still under way when the next call comes


@pytest.fixture
def who(gateway: Gateway) -> Customer:
    return customer(gateway)


class Operations:
    """The operations of one customer, by a client with gRPC's own limits."""

    def __init__(self, stub: ImageEditStub, who: Customer) -> None:
        self._stub = stub
        self._who = who
        self.metadata = (("authorization", f"Bearer {who.key}"),)

    def start(self, words: str = "", **fields: Any) -> pb.Operation:
        fields = {"model": MODEL, "prompt": self._who.prompt(words), **fields}
        edit = Edit(fields, (LARGE,))
        parameters = message(edit, inline=False)
        parameters.partial_images = fields.get("partials", 0)
        requests = [
            pb.StartEditImageRequest.FromString(one.SerializeToString())
            for one in stream_messages(parameters, edit.images)
        ]
        answer = self._stub.StartEditImage(iter(requests), metadata=self.metadata, timeout=20)
        return answer.operation

    def ask(self, method: str, name: str, **more: Any) -> pb.Operation:
        request = getattr(pb, f"{method}Request")(name=name, **more)
        answer = getattr(self._stub, method)(request, metadata=self.metadata, timeout=20)
        return answer.operation

    def wait(self, name: str, seconds: float = 10.0) -> pb.Operation:
        timeout = Duration()
        timeout.FromNanoseconds(round(seconds * 1e9))
        return self.ask("WaitOperation", name, timeout=timeout)

    def read(self, name: str) -> list[pb.ReadOperationResultResponse]:
        request = pb.ReadOperationResultRequest(name=name)
        return list(self._stub.ReadOperationResult(request, metadata=self.metadata, timeout=20))


@pytest.fixture
def operations(gateway: Gateway, who: Customer) -> Iterator[Operations]:
    with gateway.stub() as stub:
        yield Operations(stub, who)


def test_an_operation_is_started_waited_for_read_and_deleted(
    sandbox: SandboxServer, who: Customer, operations: Operations
) -> None:
    started = operations.start(f"[sandbox echo] {SLOW}")
    assert not started.done
    assert started.WhichOneof("result") is None
    about = started.metadata
    assert about.state in {pb.OPERATION_STATE_QUEUED, pb.OPERATION_STATE_IN_PROGRESS}
    assert (about.model, about.HasField("end_time")) == (MODEL, False)
    assert abs(about.create_time.seconds - time.time()) < 20

    early = operations.wait(started.name, 0.1)
    assert (early.name, early.done) == (started.name, False)
    done = operations.wait(started.name)
    assert (done.done, done.metadata.state) == (True, pb.OPERATION_STATE_SUCCEEDED)
    assert done.response.edit_id == started.name
    assert (done.response.image.mime_type, done.response.image.data) == ("image/png", b"")
    assert done.response.usage.cost_nanos > 0
    assert done == operations.ask("GetOperation", started.name)
    assert done == operations.ask("CancelOperation", started.name), "nothing is left to cancel"

    first, *pieces = operations.read(started.name)
    assert first.result == done.response
    sizes = [len(piece.result_chunk.data) for piece in pieces]
    assert len(sizes) > 1
    assert max(sizes) == CHUNK
    picture = decoded(b"".join(piece.result_chunk.data for piece in pieces))
    assert picture.size == (done.response.width, done.response.height)
    assert who.tally(sandbox) == ONE

    assert not operations.ask("DeleteOperation", started.name).name, "gone: there is none"
    for method in ("GetOperation", "WaitOperation", "CancelOperation"):
        assert_not_found(lambda method=method: operations.ask(method, started.name))  # type: ignore[misc]
    assert_not_found(lambda: operations.read(started.name))


def test_one_that_is_under_way_has_no_picture_and_is_not_deleted(operations: Operations) -> None:
    started = operations.start(SLOW)
    assert_not_found(lambda: operations.read(started.name))
    left = operations.ask("DeleteOperation", started.name)
    assert (left.name, left.done) == (started.name, False)
    assert operations.wait(started.name).metadata.state == pb.OPERATION_STATE_SUCCEEDED


def test_a_failure_is_the_operations_own(operations: Operations) -> None:
    started = operations.start("[sandbox html502]")
    done = operations.wait(started.name)
    assert (done.done, done.metadata.state) == (True, pb.OPERATION_STATE_FAILED)
    assert done.error.code == grpc.StatusCode.UNAVAILABLE.value[0]
    assert (done.error.reason, done.error.field) == ("UPSTREAM_ERROR", "")
    assert "nothing was charged" in done.error.message
    assert done.metadata.expire_time.seconds > done.metadata.end_time.seconds


@pytest.mark.parametrize(
    ("fields", "field"),
    [({"partials": 1}, "partial_images"), ({"prompt": ""}, "prompt"), ({"model": "a/b"}, None)],
)
def test_what_is_refused_before_anything_is_held_is_the_calls(
    who: Customer, operations: Operations, fields: dict[str, Any], field: str | None
) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        operations.start(**fields)
    told = told_by_grpc(caught.value)
    assert told.grpc in {"INVALID_ARGUMENT", "FAILED_PRECONDITION"}
    assert field is None or told.param == field
    assert who.edits() == []


def test_a_caller_that_leaves_does_not_end_it(
    sandbox: SandboxServer, gateway: Gateway, who: Customer
) -> None:
    with gateway.stub() as stub:
        started = Operations(stub, who).start(SLOW)
    with gateway.stub() as stub:  # on another connection
        found = Operations(stub, who).wait(started.name)
    assert found.metadata.state == pb.OPERATION_STATE_SUCCEEDED
    assert who.tally(sandbox) == ONE


def test_as_many_wait_or_read_as_the_key_may_have_edits(gateway: Gateway) -> None:
    who = customer(gateway, concurrency=1)
    desk = gateway.service.desk
    with gateway.stub() as stub:
        operations = Operations(stub, who)
        done = operations.wait(operations.start().name)
        with desk.waiting.place(desk.keys.check(who.key)):
            for ask in (operations.wait, operations.read):
                with pytest.raises(grpc.RpcError) as caught:
                    ask(done.name)
                assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert operations.ask("GetOperation", done.name) == done
        assert operations.read(done.name)


def test_calls_that_wait_leave_threads_to_the_others(
    sandbox: SandboxServer, tmp_path: Path
) -> None:
    environment = sandbox.environment() | {"IMAGEEDIT_MAX_EDITS": "1"}
    with Gateway(environment, tmp_path) as gateway, gateway.stub() as stub:
        operations = Operations(stub, customer(gateway))
        done = operations.wait(operations.start().name)
        with gateway.service.admission.wait("another key"):
            for ask in (operations.wait, operations.read):
                with pytest.raises(grpc.RpcError) as caught:
                    ask(done.name)
                told = told_by_grpc(caught.value)
                assert (told.grpc, told.retry_after) == ("UNAVAILABLE", 5)
            assert operations.ask("GetOperation", done.name) == done
        gateway.service.admission.drain(0)
        assert operations.read(done.name), "a drain lets what is there be fetched"


def assert_not_found(ask: Any) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        ask()
    assert (told_by_grpc(caught.value).grpc, told_by_grpc(caught.value).code) == (
        "NOT_FOUND",
        "not_found",
    )
