"""A fake ImageEdit service on a real gRPC server: it records calls and gives queued answers.

Whatever has no queued answer is UNIMPLEMENTED; a queued answer that nobody asked for fails the
test, and so does a method that the proto does not have.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Lock
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_health.v1.health import HealthServicer
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server
from grpc_status import rpc_status

from imageedit.v1.image_edit_pb2 import DESCRIPTOR, CheckKeyResponse

SERVICE = DESCRIPTOR.services_by_name["ImageEdit"]
LIMITS = (("x-ratelimit-limit", "60"), ("x-ratelimit-remaining", "59"))


@dataclass(frozen=True)
class Fault:
    """An error; with a `reason` as the real service describes it, without one as gRPC's own."""

    code: grpc.StatusCode
    reason: str | None = None
    message: str = "what was wrong and what would be right"
    field: str | None = None
    retry_after: float | None = None
    info: dict[str, str] = dataclasses.field(default_factory=dict)
    domain: str = "imageedit.v1"

    def abort(
        self, context: grpc.ServicerContext, trailing: tuple[tuple[str, str], ...] = ()
    ) -> None:
        if self.reason is None:
            context.abort(self.code, self.message)
        details: list[Message] = [
            ErrorInfo(reason=self.reason, domain=self.domain, metadata=self.info)
        ]
        if self.field is not None:
            violation = BadRequest.FieldViolation(field=self.field, description=self.message)
            details.append(BadRequest(field_violations=[violation]))
        if self.retry_after is not None:
            retry = RetryInfo()
            retry.retry_delay.FromNanoseconds(int(self.retry_after * 1e9))
            details.append(retry)
        packed = []
        for detail in details:
            packed.append(Packed())
            packed[-1].Pack(detail)
        status = Status(code=self.code.value[0], message=self.message, details=packed)
        told = rpc_status.to_status(status)
        context.abort_with_status(
            told._replace(trailing_metadata=(*told.trailing_metadata, *trailing))
        )


@dataclass
class Recorded:
    """One call: the method, the metadata, and the messages that crossed the wire."""

    method: str
    metadata: dict[str, str]
    time_remaining: float
    messages: list[Any] = dataclasses.field(default_factory=list)


@dataclass
class Queued:
    """One answer: a message, several for a stream, or a fault.

    `hold` is awaited first; `read_all` tells whether a streamed request is taken to its end;
    `then` is how a streamed answer fails after its messages.
    `asked` is set when the call came, `ended` when it is over, as when the caller left.
    """

    answer: Message | Iterable[Message] | Fault
    metadata: tuple[tuple[str, str], ...] = ()
    trailing: tuple[tuple[str, str], ...] = ()
    hold: Event | None = None
    read_all: bool = True
    then: Fault | None = None
    asked: Event = dataclasses.field(default_factory=Event)
    ended: Event = dataclasses.field(default_factory=Event)


class FakeServicer:
    """The queue and the record. `address` is where it listens."""

    def __init__(self) -> None:
        self.address = ""
        self.calls: list[Recorded] = []
        self.health = HealthServicer()
        self._queued: dict[str, deque[Queued]] = defaultdict(deque)
        self._lock = Lock()

    def queue(self, method: str, answer: Any, **options: Any) -> Queued:
        """Let the next unanswered call of `method` get `answer`; options are those of Queued."""
        assert method in SERVICE.methods_by_name, method
        queued = Queued(answer, **options)
        self._queued[method].append(queued)
        return queued

    def accept_key(self, times: int = 1) -> None:
        """Let the next CheckKey succeed, with rate limit metadata."""
        for _ in range(times):
            self.queue("CheckKey", CheckKeyResponse(key_id="k1", name="test"), metadata=LIMITS)

    def refuse_key(self) -> None:
        """Let the next CheckKey fail."""
        self.queue("CheckKey", Fault(grpc.StatusCode.UNAUTHENTICATED, "INVALID_API_KEY"))

    def forget_queue(self) -> None:
        """Drop the answers that nobody asked for."""
        self._queued.clear()

    @property
    def methods(self) -> list[str]:
        """The methods called so far, in order."""
        return [call.method for call in self.calls]

    def unconsumed(self) -> dict[str, int]:
        """How many answers wait, by method."""
        return {method: len(left) for method, left in self._queued.items() if left}

    def handlers(self) -> grpc.GenericRpcHandler:
        """One handler for each method of the proto."""
        made = {}
        for method in SERVICE.methods:
            kind, behavior = {
                (False, False): (grpc.unary_unary_rpc_method_handler, self._unary),
                (False, True): (grpc.unary_stream_rpc_method_handler, self._streamed),
                (True, False): (grpc.stream_unary_rpc_method_handler, self._collected),
                (True, True): (grpc.stream_stream_rpc_method_handler, self._streamed),
            }[method.client_streaming, method.server_streaming]
            made[method.name] = kind(
                behavior(method.name),
                GetMessageClass(method.input_type).FromString,
                lambda message: message.SerializeToString(),
            )
        return grpc.method_handlers_generic_handler(SERVICE.full_name, made)

    def _next(self, name: str, context: grpc.ServicerContext) -> tuple[Recorded, Queued]:
        metadata = dict(context.invocation_metadata())
        recorded = Recorded(name, metadata, context.time_remaining() or 0.0)
        with self._lock:
            self.calls.append(recorded)
            waiting = self._queued[name]
            queued = waiting.popleft() if waiting else None
        if queued is None:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, f"no answer is queued for {name}")
        assert queued is not None
        return recorded, queued

    def _send(self, queued: Queued, context: grpc.ServicerContext) -> Any:
        queued.asked.set()
        if not context.add_callback(queued.ended.set):
            queued.ended.set()
        if queued.hold is not None:
            assert queued.hold.wait(30)
        context.send_initial_metadata(queued.metadata)
        context.set_trailing_metadata(queued.trailing)
        if isinstance(queued.answer, Fault):
            queued.answer.abort(context, queued.trailing)
        return queued.answer

    def _unary(self, name: str) -> Any:
        def serve(request: Message, context: grpc.ServicerContext) -> Any:
            recorded, queued = self._next(name, context)
            recorded.messages.append(request)
            return self._send(queued, context)

        return serve

    def _collected(self, name: str) -> Any:
        def serve(requests: Iterator[Message], context: grpc.ServicerContext) -> Any:
            recorded, queued = self._next(name, context)
            if queued.read_all:
                recorded.messages.extend(requests)
            return self._send(queued, context)

        return serve

    def _streamed(self, name: str) -> Any:
        def serve(
            requests: Message | Iterator[Message], context: grpc.ServicerContext
        ) -> Iterator[Any]:
            recorded, queued = self._next(name, context)
            if isinstance(requests, Message):
                recorded.messages.append(requests)
            elif queued.read_all:
                recorded.messages.extend(requests)
            yield from self._send(queued, context)
            if queued.then is not None:
                queued.then.abort(context, queued.trailing)

        return serve


@contextmanager
def serving(
    address: str = "127.0.0.1:0", credentials: grpc.ServerCredentials | None = None
) -> Iterator[FakeServicer]:
    """Yield a fake that listens on `address`; then check that every queued answer was asked for."""
    fake = FakeServicer()
    with ThreadPoolExecutor(16) as threads:
        server = grpc.server(threads)
        server.add_generic_rpc_handlers((fake.handlers(),))
        add_HealthServicer_to_server(fake.health, server)
        if credentials is None:
            port = server.add_insecure_port(address)
        else:
            port = server.add_secure_port(address, credentials)
        host = address.rpartition(":")[0]
        fake.address = address if address.startswith("unix:") else f"{host}:{port}"
        server.start()
        try:
            yield fake
        finally:
            server.stop(None).wait()
    assert fake.unconsumed() == {}
