"""Around every RPC of ours: request id, key, one log line, and errors that tell nothing else."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import grpc

from imageedit.v1 import image_edit_pb2 as pb
from server.accounts.desk import Desk
from server.accounts.keys import Key
from server.accounts.limits import Allowance
from server.accounts.originals import OriginalFailed
from server.admission import Admission
from server.calls import Call, current, forget
from server.domain import EditError, Situation
from server.metrics import Metrics
from server.status import CODES, reason_name, to_status
from server.tracing import spans

logger = logging.getLogger("imageedit.service")

PACKAGE = "/imageedit.v1.ImageEdit/"
WITHOUT_KEY = frozenset({"ListModels", "GetModel"})
COUNTED = frozenset({"EditImage", "StreamEditImage", "StartEditImage"})
PICTURED = (pb.EditImageRequest, pb.EditImageResponse)
ANSWERING = COUNTED | {"ReadOperationResult"}  # what a drain lets take its answer
_Behavior = Callable[..., Any]
_Counted = Callable[[Any, Call], Any]
_UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_BEARER = re.compile(r"bearer +(\S+) *", re.IGNORECASE)


class CallInterceptor(grpc.ServerInterceptor):
    """Wraps the handlers of our service; others, such as health, pass untouched."""

    def __init__(
        self, desk: Desk, admission: Admission, metrics: Metrics, new_id: Callable[[], str]
    ) -> None:
        self._desk = desk
        self._admission = admission
        self._metrics = metrics
        self._new_id = new_id

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler[Any, Any] | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Return the handler for a call, wrapped."""
        handler = continuation(handler_call_details)
        path = handler_call_details.method
        if handler is None or not path.startswith(PACKAGE):
            return handler
        method = path.removeprefix(PACKAGE)
        how = (handler.request_deserializer, handler.response_serializer)
        counted = _counted_stream if handler.request_streaming else _counted_message
        if handler.stream_stream is not None:
            serve = self._many(method, handler.stream_stream, counted)
            return grpc.stream_stream_rpc_method_handler(serve, *how)
        if handler.unary_stream is not None:
            serve = self._many(method, handler.unary_stream, counted)
            return grpc.unary_stream_rpc_method_handler(serve, *how)
        if handler.stream_unary is not None:
            serve = self._one(method, handler.stream_unary, counted)
            return grpc.stream_unary_rpc_method_handler(serve, *how)
        assert handler.unary_unary is not None  # noqa: S101 -- there are no other kinds
        serve = self._one(method, handler.unary_unary, counted)
        return grpc.unary_unary_rpc_method_handler(serve, *how)

    def _one(self, method: str, behavior: _Behavior, counted: _Counted) -> _Behavior:
        def serve(requests: Any, context: grpc.ServicerContext) -> Any:
            with self._call(method, context) as call:
                handed = [counted(requests, call)]
                del requests  # or a message with pictures would stay as long as its edit is held
                response = behavior(handed.pop(), context)
                call.bytes_out += _size(response)
                return response

        return serve

    def _many(self, method: str, behavior: _Behavior, counted: _Counted) -> _Behavior:
        def serve(requests: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            with self._call(method, context) as call:
                for response in behavior(counted(requests, call), context):
                    call.bytes_out += _size(response)
                    yield response

        return serve

    @contextmanager
    def _call(self, method: str, context: grpc.ServicerContext) -> Iterator[Call]:
        metadata = dict(context.invocation_metadata())
        call = Call(method, self._request_id(metadata), time.monotonic())
        call.idempotency_key = _text(metadata.get("idempotency-key"))
        call.retry_count = _count(metadata.get("x-stainless-retry-count"))
        token = current.set(call)
        span = spans.begin(method, metadata)
        code = "CANCELLED"  # what it is when nothing below says otherwise: the generator was closed
        try:
            self._greet(call, context, metadata)
            if method in ANSWERING:
                with self._admission.answering():
                    yield call
            else:
                yield call
            code = "OK"
        except EditError as error:
            code = CODES[error.situation][0].name
            call.facts |= {"reason": reason_name(error.situation), "field": error.field}
            forget(error)
            replayed = isinstance(error, OriginalFailed)
            context.abort_with_status(to_status(error, replayed=replayed))
        except grpc.RpcError:  # the request's messages broke off
            code = "CANCELLED"
            context.abort_with_status(to_status(_gone()))
        except Exception as error:
            code = "INTERNAL"
            # The text may hold anything; it stays here.
            logger.exception("bug", extra={"line": {"event": "bug", "request_id": call.request_id}})
            forget(error)
            context.abort_with_status(to_status(_bug()))
        finally:
            call.log(code)
            self._count(call, code)
            if span is not None:
                span.end(
                    failed=code != "OK",
                    request_id=call.request_id,
                    model=call.facts.get("model"),
                    outcome=code,
                )
            current.reset(token)

    def _count(self, call: Call, code: str) -> None:
        self._metrics.rpc(
            call.method,
            code=code,
            reason=str(call.facts.get("reason", "")),
            seconds=time.monotonic() - call.started,
            received=call.bytes_in,
            sent=call.bytes_out,
        )

    def _greet(self, call: Call, context: grpc.ServicerContext, metadata: dict[str, Any]) -> None:
        """Check the key and its rate, and send the metadata that every answer begins with."""
        headers = [("x-request-id", call.request_id)]
        try:
            if call.method in WITHOUT_KEY:
                # Nobody is refused here, but who has a valid key is told of its limit everywhere.
                with suppress(EditError):
                    headers += _limit_headers(self._desk.limits.peek(self._key(metadata)))
                return
            key = call.key = self._key(metadata)
            allowance = Allowance(key.rate_limit, 0)  # what is told when the count refuses
            try:
                # What may be a repeat is counted once it is known to be none.
                if call.method in COUNTED and not call.repeats:
                    allowance = self._desk.count_first(key)
                else:
                    allowance = self._desk.limits.peek(key)
            finally:
                headers += _limit_headers(allowance)
        finally:
            context.send_initial_metadata(tuple(headers))

    def _key(self, metadata: dict[str, Any]) -> Key:
        return self._desk.keys.check(_bearer(metadata))

    def _request_id(self, metadata: dict[str, Any]) -> str:
        """Return the id that our front made, or a new one."""
        given = str(metadata.get("x-request-id", ""))
        return given if _UUID4.fullmatch(given) else self._new_id()


def _counted_message(request: Any, call: Call) -> Any:
    call.bytes_in += _size(request)
    return request


def _counted_stream(requests: Iterator[Any], call: Call) -> Iterator[Any]:
    for request in requests:
        call.bytes_in += _size(request)
        yield request


def _size(message: Any) -> int:
    """Return a message's size in bytes, without the pictures, which who has them in hand counts.

    To tell a message's size is to write it out, in the time of a copy or two.
    """
    return 0 if isinstance(message, PICTURED) else int(message.ByteSize())


def _gone() -> EditError:
    return EditError(Situation.CANCELLED, "The caller left.")


def _bug() -> EditError:
    return EditError(Situation.BUG, "The gateway failed by a fault of its own.")


def _limit_headers(allowance: Allowance) -> list[tuple[str, str]]:
    return [
        ("x-ratelimit-limit", str(allowance.limit)),
        ("x-ratelimit-remaining", str(allowance.remaining)),
    ]


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _count(value: object) -> int:
    """Return an SDK's number of retries; 0 for what is none."""
    text = str(value)
    return int(text) if re.fullmatch("[0-9]{1,3}", text) else 0


def _bearer(metadata: dict[str, Any]) -> str | None:
    match = _BEARER.fullmatch(str(metadata.get("authorization", "")))
    return match[1] if match else None
