"""Callers that stall, drip, send too much at once or set no deadline: they wait for themselves."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from imageedit.v1 import image_edit_pb2 as pb
from sandbox.server import SandboxServer
from server.patience import Patience
from server.spool import SMALL
from tests.edits import IMAGE, Edit, message, told_by_grpc
from tests.lone_service import LoneService, Stalling, lone_service
from tests.pictures import PNG_SIGNATURE, chunk
from tests.running import eventually, stream_messages


@contextmanager
def ends_with(code: grpc.StatusCode, says: str, param: str | None, retry: int | None) -> Iterator:
    """Check the error of the call inside, in the contract's shape."""
    with pytest.raises(grpc.RpcError) as caught:
        yield
    assert caught.value.code() is code
    told = told_by_grpc(caught.value)
    assert says in told.message
    assert (told.param, told.retry_after) == (param, retry)


def nothing_is_left(service: LoneService) -> bool:
    admission = service.admission
    left = (admission.held, admission.receiving, admission.bytes_in_flight)
    edits = [thread for thread in threading.enumerate() if thread.name == "edit"]
    return left == (0, 0, 0) and not edits


INVALID, UNAVAILABLE = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("chunks", [0, 3])
def test_a_stalled_upload_without_a_deadline_ends(
    sandbox: SandboxServer, tmp_path: Path, chunks: int
) -> None:
    with lone_service(sandbox, tmp_path, Patience(chunk=0.6)) as service:
        stalling = Stalling(chunks)
        began = time.monotonic()
        with ends_with(INVALID, "stopped arriving", "data", None):
            list(service.stub.StreamEditImage(iter(stalling), metadata=service.metadata()))
        assert 0.6 < time.monotonic() - began < 5
        assert eventually(lambda: nothing_is_left(service))
        stalling.go.set()


def test_a_dripping_upload_ends(sandbox: SandboxServer, tmp_path: Path) -> None:
    with lone_service(sandbox, tmp_path, Patience(chunk=1.0, upload=1.2)) as service:
        dripping = Stalling(1000, pause=0.1)
        with ends_with(INVALID, "took over 1.2 seconds", "data", None):
            list(service.stub.StreamEditImage(iter(dripping), metadata=service.metadata()))
        assert dripping.sent < 100
        assert eventually(lambda: nothing_is_left(service))
        dripping.go.set()


def test_stalled_uploads_are_so_many_and_nobody_elses_trouble(
    sandbox: SandboxServer, tmp_path: Path
) -> None:
    with lone_service(sandbox, tmp_path, MAX_EDITS="2") as service:
        stalling = [Stalling(), Stalling()]
        calls = [
            service.stub.StreamEditImage(iter(one), metadata=service.metadata()) for one in stalling
        ]
        assert eventually(lambda: service.admission.receiving == 2)
        with ends_with(UNAVAILABLE, "receives as many", None, 5):
            list(service.stub.StreamEditImage(iter(Stalling()), metadata=service.metadata()))
        answer = service.stub.EditImage(message(Edit(), inline=True), metadata=service.metadata())
        assert answer.model == "openai/gpt-image-1.5"
        health = health_pb2_grpc.HealthStub(service.channel)
        assert health.Check(health_pb2.HealthCheckRequest(), timeout=1).status == 1
        for one, call in zip(stalling, calls, strict=True):
            call.cancel()
            one.go.set()


def test_while_full_an_upload_is_refused_before_it_is_read(
    sandbox: SandboxServer, tmp_path: Path
) -> None:
    with lone_service(sandbox, tmp_path, MAX_EDITS="1") as service:
        metadata = service.metadata()
        slow = message(Edit({"prompt": "sepia [sandbox delay=1]"}), inline=True)
        held = service.stub.EditImage.future(slow, metadata=metadata)
        assert eventually(lambda: service.admission.held == 1)
        large = Stalling(60 * 1024)
        with ends_with(UNAVAILABLE, "as many edits", None, 5):
            list(service.stub.StreamEditImage(iter(large), metadata=metadata))
        assert large.sent < 1024  # of 60 MB, less than 1 MiB left
        large.go.set()
        asked = pb.CheckKeyRequest(before_edit=True)
        with ends_with(UNAVAILABLE, "as many edits", None, 5):
            service.stub.CheckKey(asked, metadata=metadata)
        desk = service.service.desk
        account_id = desk.keys.check(metadata[0][1].removeprefix("Bearer ")).account_id
        assert desk.arrivals.was_refused(account_id)  # so its repeat is not taken for another's
        assert held.result().model == "openai/gpt-image-1.5"
        assert eventually(lambda: service.admission.held == 0)
        assert service.stub.CheckKey(asked, metadata=metadata).name == "tests"


def test_bytes_over_the_cap_are_refused_and_free_again(
    sandbox: SandboxServer, tmp_path: Path
) -> None:
    picture = IMAGE + bytes(5_000)  # what follows a picture's end is cut off
    with lone_service(sandbox, tmp_path, MAX_BYTES="12000") as service:
        metadata = service.metadata()
        with ends_with(UNAVAILABLE, "as many pictures", None, 5):
            edit = Edit(images=(picture, picture, picture))
            service.stub.EditImage(message(edit, inline=True), metadata=metadata)
        with ends_with(UNAVAILABLE, "as many pictures", None, 5):
            messages = stream_messages(message(Edit(), inline=False), [bytes(20_000)])
            list(service.stub.StreamEditImage(messages, metadata=metadata))
        assert eventually(lambda: nothing_is_left(service))
        messages = stream_messages(message(Edit(), inline=False), [picture])
        events = list(service.stub.StreamEditImage(messages, metadata=metadata))
        assert events[-1].WhichOneof("event") == "result_chunk"
        assert eventually(lambda: nothing_is_left(service))


def test_a_drain_does_not_wait_for_a_stalled_upload(sandbox: SandboxServer, tmp_path: Path) -> None:
    with lone_service(sandbox, tmp_path) as service:
        stalling = Stalling()
        call = service.stub.StreamEditImage(iter(stalling), metadata=service.metadata())
        assert eventually(lambda: service.admission.receiving == 1)
        began = time.monotonic()
        drain = threading.Thread(target=service.service.drain)
        drain.start()
        with ends_with(UNAVAILABLE, "shutting down", None, 5):
            list(call)
        drain.join(5)
        assert time.monotonic() - began < 3
        stalling.go.set()


def test_a_caller_without_a_deadline_has_ours(sandbox: SandboxServer, tmp_path: Path) -> None:
    with lone_service(sandbox, tmp_path, Patience(call=2.0)) as service:
        silent = message(Edit({"prompt": "sepia [sandbox silent]"}), inline=True)
        began = time.monotonic()
        with ends_with(grpc.StatusCode.DEADLINE_EXCEEDED, "", None, None):
            service.stub.EditImage(silent, metadata=service.metadata())
        assert time.monotonic() - began < 5
        assert eventually(lambda: nothing_is_left(service))


METHODS = [
    "/imageedit.v1.ImageEdit/EditImage",
    "/imageedit.v1.ImageEdit/ListModels",
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/Watch",
]


@pytest.mark.parametrize("method", METHODS)
def test_a_call_whose_one_message_never_comes_holds_no_thread(
    sandbox: SandboxServer, tmp_path: Path, method: str
) -> None:
    over = threading.Event()

    def never() -> Iterator[bytes]:
        over.wait(30)
        yield from ()

    with lone_service(sandbox, tmp_path, Patience(chunk=0.5)) as service:
        with pytest.raises(grpc.RpcError) as caught:
            service.channel.stream_unary(method)(never(), timeout=10)
        assert caught.value.code() is grpc.StatusCode.CANCELLED
        over.set()
        with pytest.raises(grpc.RpcError, match="no message"):
            service.channel.stream_unary(method)(iter(()), timeout=10)


def spooled_files() -> int:
    """Return how many unnamed files of ours this process has open."""
    count = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            name = str(descriptor.readlink())
            count += "imageedit-" in name and name.endswith("(deleted)")
    return count


def test_a_large_upload_waits_on_disk_and_arrives_whole(
    sandbox: SandboxServer, tmp_path: Path
) -> None:
    padding = chunk(b"teXt", bytes(range(256)) * 20_000)  # 5 MB that the gate takes away
    padded = IMAGE[:33] + padding + IMAGE[33:]
    assert padded.startswith(PNG_SIGNATURE)
    assert len(padded) > 4 * SMALL
    with lone_service(sandbox, tmp_path) as service:
        slow = message(Edit({"prompt": "sepia [sandbox delay=1]"}), inline=False)
        messages = stream_messages(slow, [padded])
        call = service.stub.StreamEditImage(messages, metadata=service.metadata())
        assert eventually(lambda: service.admission.held == 1)
        assert spooled_files() == 1
        events = list(call)
        assert events[-1].WhichOneof("event") == "result_chunk"
        assert eventually(lambda: spooled_files() == 0)
