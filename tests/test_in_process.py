"""The channel without a socket: each test holds for gRPC's own channel as well."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event, get_ident
from typing import Any

import grpc
import pytest
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from gateway_http.call_errors import from_call
from imageedit.in_process import Handlers, InProcessChannel
from imageedit.v1 import image_edit_pb2 as pb
from imageedit.v1.image_edit_pb2_grpc import (
    ImageEditServicer,
    ImageEditStub,
    add_ImageEditServicer_to_server,
)
from tests.running import eventually

METADATA = (("x-request-id", "1"),)
ABORTED = grpc.StatusCode.FAILED_PRECONDITION


class Scripted(ImageEditServicer):
    """Does what the name of the model that is asked for says; `left` is set when callers leave."""

    def __init__(self) -> None:
        self.waits, self.left, self.given = Event(), Event(), 0
        self.seen: list[Any] = []

    def GetModel(  # noqa: N802
        self, request: pb.GetModelRequest, context: grpc.ServicerContext
    ) -> pb.GetModelResponse:
        context.send_initial_metadata((("began", "yes"),))
        context.set_trailing_metadata((("ended", "yes"),))
        match request.model:
            case "abort":
                status = Status(code=ABORTED.value[0], message="no")
                context.abort_with_status(rpc_status.to_status(status))
            case "cancel":
                context.abort(grpc.StatusCode.CANCELLED, "no")
            case "set":
                context.set_code(ABORTED)
                context.set_details("no")
            case "raise":
                raise ValueError("what")
            case "wait":
                assert context.add_callback(self.left.set)
                self.waits.set()
                assert self.left.wait(20)
                assert not context.is_active()
                assert not context.add_callback(self.left.set)
        remaining = context.time_remaining()
        endless = remaining is None or remaining > 1_000_000
        told = dict(context.invocation_metadata()).get("x-request-id")
        return pb.GetModelResponse(model=pb.Model(id=f"{told} {endless}"))

    def StreamEditImage(  # noqa: N802
        self, request_iterator: Iterator[pb.StreamEditImageRequest], context: grpc.ServicerContext
    ) -> Iterator[pb.StreamEditImageResponse]:
        context.add_callback(self.left.set)
        for request in request_iterator:
            self.seen.append(request.parameters.model)
        context.send_initial_metadata((("began", "yes"),))
        while self.seen == ["endless"] and context.is_active():
            self.given += 1
            yield pb.StreamEditImageResponse(result_chunk=pb.ImageChunk(data=b"-" * 100_000))
        for model in self.seen:
            yield pb.StreamEditImageResponse(accepted=pb.EditAccepted(model=model))
        if "abort" in self.seen:
            context.abort(ABORTED, "no")
        context.set_trailing_metadata((("ended", "yes"),))

    def StartEditImage(  # noqa: N802
        self, request_iterator: Iterator[pb.StartEditImageRequest], context: grpc.ServicerContext
    ) -> pb.StartEditImageResponse:
        names = [request.parameters.model for request in request_iterator]
        return pb.StartEditImageResponse(operation=pb.Operation(name=" ".join(names)))

    def ReadOperationResult(  # noqa: N802
        self, request: pb.ReadOperationResultRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.ReadOperationResultResponse]:
        for _ in range(3):
            yield pb.ReadOperationResultResponse(result=pb.EditImageResponse(edit_id=request.name))


class Tagging(grpc.ServerInterceptor):
    """Counts calls."""

    calls = 0

    def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        self.calls += 1
        return continuation(handler_call_details)


@pytest.fixture
def servicer() -> Scripted:
    return Scripted()


@pytest.fixture(params=["socket", "in process"])
def channel(servicer: Scripted, request: pytest.FixtureRequest) -> Iterator[grpc.Channel]:
    if request.param == "in process":
        handlers = Handlers()
        add_ImageEditServicer_to_server(servicer, handlers)
        with InProcessChannel(handlers, threads=4) as made:
            yield made
        return
    server = grpc.server(ThreadPoolExecutor(4))
    add_ImageEditServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as made:
        yield made
    server.stop(0).wait()


@pytest.fixture
def stub(channel: grpc.Channel) -> ImageEditStub:
    return ImageEditStub(channel)


def begun(*models: str) -> Iterator[pb.StreamEditImageRequest]:
    for model in models:
        yield pb.StreamEditImageRequest(parameters=pb.EditImageRequest(model=model))


def pairs(metadata: Any) -> dict[str, Any]:
    return dict(metadata)


def test_an_answer_and_what_is_around_it(stub: ImageEditStub) -> None:
    answer, call = stub.GetModel.with_call(pb.GetModelRequest(model="x"), metadata=METADATA)
    assert answer.model.id == "1 True"
    assert pairs(call.initial_metadata()) == {"began": "yes"}
    assert pairs(call.trailing_metadata()) == {"ended": "yes"}
    assert call.code() is grpc.StatusCode.OK
    assert stub.GetModel(pb.GetModelRequest(), timeout=9).model.id == "None False"


def test_a_future(stub: ImageEditStub) -> None:
    done = Event()
    call = stub.GetModel.future(pb.GetModelRequest(model="x"))
    call.add_done_callback(lambda _: done.set())
    assert call.result().model.id == call.result().model.id == "None True"
    assert done.wait(5)
    assert call.done()
    assert not call.cancelled()
    assert not call.cancel()
    assert call.exception() is None
    late: list[int] = []
    call.add_done_callback(lambda _: late.append(get_ident()))
    assert eventually(lambda: late == [get_ident()], 5)


FAILURES = [
    ("abort", ABORTED, "no"),
    ("set", ABORTED, "no"),
    ("cancel", grpc.StatusCode.CANCELLED, "no"),
    ("raise", grpc.StatusCode.UNKNOWN, "Exception calling application: what"),
]


@pytest.mark.parametrize(("model", "code", "details"), FAILURES)
def test_a_failure(stub: ImageEditStub, model: str, code: grpc.StatusCode, details: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        stub.GetModel(pb.GetModelRequest(model=model))
    failed: Any = caught.value
    assert (failed.code(), failed.details()) == (code, details)
    assert pairs(failed.initial_metadata()) == {"began": "yes"}
    trailing = pairs(failed.trailing_metadata())
    assert ("grpc-status-details-bin" in trailing) == (model == "abort")
    if model == "abort":
        assert rpc_status.from_call(failed).message == "no"
    call = stub.GetModel.future(pb.GetModelRequest(model=model))
    assert call.exception() is call
    assert not call.cancelled()
    with pytest.raises(grpc.RpcError):
        call.result()


def test_a_method_that_is_not_there(stub: ImageEditStub) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        stub.GetCredits(pb.GetCreditsRequest())
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_caller_that_leaves(stub: ImageEditStub, servicer: Scripted) -> None:
    call = stub.GetModel.future(pb.GetModelRequest(model="wait"))
    assert servicer.waits.wait(5)
    assert call.cancel()
    assert servicer.left.wait(5)
    assert call.cancelled()
    assert call.code() is grpc.StatusCode.CANCELLED
    for look in (call.result, call.exception):
        with pytest.raises(grpc.FutureCancelledError):
            look()


def test_a_deadline(stub: ImageEditStub, servicer: Scripted) -> None:
    began = time.monotonic()
    with pytest.raises(grpc.RpcError) as caught:
        stub.GetModel(pb.GetModelRequest(model="wait"), timeout=0.2)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert 0.2 <= time.monotonic() - began < 5
    assert servicer.left.wait(5)


def test_streams_both_ways(stub: ImageEditStub, servicer: Scripted) -> None:
    call = stub.StreamEditImage(begun(*"abcdefgh"), timeout=20)
    assert [event.accepted.model for event in call] == [*"abcdefgh"]
    assert pairs(call.initial_metadata()) == {"began": "yes"}
    assert pairs(call.trailing_metadata()) == {"ended": "yes"}
    assert servicer.left.wait(5)


def test_streams_one_way(stub: ImageEditStub) -> None:
    messages = (
        pb.StartEditImageRequest(parameters=pb.EditImageRequest(model=name)) for name in "ab"
    )
    assert stub.StartEditImage.future(messages).result().operation.name == "a b"
    read = stub.ReadOperationResult(pb.ReadOperationResultRequest(name="x"))
    assert [message.result.edit_id for message in read] == ["x"] * 3


def test_what_came_before_a_failure_is_given(stub: ImageEditStub) -> None:
    call = stub.StreamEditImage(begun("a", "abort"))
    assert [next(call).accepted.model, next(call).accepted.model] == ["a", "abort"]
    with pytest.raises(grpc.RpcError) as caught:
        next(call)
    assert caught.value.code() is ABORTED
    assert caught.value.details() == "no"


def test_messages_that_break_off(stub: ImageEditStub, servicer: Scripted) -> None:
    def broken() -> Iterator[pb.StreamEditImageRequest]:
        yield from begun("a")
        assert eventually(lambda: servicer.seen == ["a"], 5)
        raise ValueError("what")

    call = stub.StreamEditImage(broken())
    with pytest.raises(grpc.RpcError) as caught:
        list(call)
    assert caught.value.code() is grpc.StatusCode.UNKNOWN
    assert servicer.left.wait(5)


def test_a_slow_caller_holds_the_service_up(stub: ImageEditStub, servicer: Scripted) -> None:
    call = stub.StreamEditImage(begun("endless"))
    next(call)
    given = -1
    while given != servicer.given:  # until it waits for us
        given = servicer.given
        time.sleep(0.2)
    assert given < 1_000
    assert call.cancel()
    assert servicer.left.wait(5)
    with pytest.raises(grpc.RpcError) as caught:
        list(call)
    assert caught.value.code() is grpc.StatusCode.CANCELLED


def test_a_channel_that_closes(channel: grpc.Channel, servicer: Scripted) -> None:
    stub = ImageEditStub(channel)
    call = stub.GetModel.future(pb.GetModelRequest(model="wait"))
    assert servicer.waits.wait(5)
    channel.close()
    assert servicer.left.wait(5)
    assert call.code() is grpc.StatusCode.CANCELLED
    with pytest.raises(ValueError, match="closed channel"):
        stub.GetModel(pb.GetModelRequest())


def test_interceptors_see_each_call() -> None:
    counting = Tagging()
    handlers = Handlers([counting, Tagging()])
    add_ImageEditServicer_to_server(Scripted(), handlers)
    with InProcessChannel(handlers, threads=1) as channel:
        stub = ImageEditStub(channel)
        for _ in range(3):
            stub.GetModel(pb.GetModelRequest())
    assert counting.calls == 3


def test_a_message_is_the_methods_alone_while_the_call_lasts() -> None:
    class Message:
        """With pictures, it would be held for minutes."""

    def method(request: Message, _: grpc.ServicerContext) -> str:
        there = weakref.ref(request)
        del request
        assert eventually(lambda: there() is None)
        return "answer"

    handlers = Handlers()
    handlers.add_registered_method_handlers(
        "service", {"method": grpc.unary_unary_rpc_method_handler(method)}
    )
    with InProcessChannel(handlers, threads=1) as channel:
        call = channel.unary_unary("/service/method").future(Message(), timeout=20)
        assert call.result() == "answer"


def test_a_call_without_a_thread_fails_and_is_not_served_later(servicer: Scripted) -> None:
    """Who was told that it failed would repeat it, and pay twice."""
    handlers = Handlers()
    add_ImageEditServicer_to_server(servicer, handlers)
    with InProcessChannel(handlers, threads=2) as channel:
        stub = ImageEditStub(channel)
        waiting = stub.GetModel.future(pb.GetModelRequest(model="wait"))
        assert servicer.waits.wait(5)
        usual = threading.stack_size(1 << 46)  # more than there is address space
        try:
            refused = stub.StreamEditImage(begun("a"))
        finally:
            threading.stack_size(usual)
        with pytest.raises(grpc.RpcError) as caught:
            next(refused)
        assert from_call(caught.value).status == 503
        assert waiting.cancel()
        assert stub.GetModel(pb.GetModelRequest(), timeout=9).model.id == "None False"
    assert servicer.seen == []
