"""The service's end: its methods, and what they see of a call."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn, TypeAlias

import grpc

from imageedit.in_process.rpc import Metadata, Rpc, Status

_log = logging.getLogger(__name__)

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Serving = Callable[[Any, grpc.ServicerContext], Any]
_Find: TypeAlias = "Callable[[grpc.HandlerCallDetails], Handler | None]"


@dataclass(frozen=True, slots=True)
class _Details(grpc.HandlerCallDetails):
    """What interceptors are told of a call."""

    method: str
    invocation_metadata: Any


class Handlers:
    """The methods of services, added by generated code as to a server.

    `interceptors` are around each call, the outermost first.
    """

    def __init__(self, interceptors: Sequence[grpc.ServerInterceptor] = ()) -> None:
        self._interceptors = interceptors
        self._methods: dict[str, Handler] = {}

    def add_generic_rpc_handlers(self, handlers: Iterable[object]) -> None:
        """Take nothing: generated code registers every method by its name as well."""

    def add_registered_method_handlers(self, service: str, methods: Mapping[str, Handler]) -> None:
        """Add the methods of `service`."""
        self._methods |= {f"/{service}/{name}": method for name, method in methods.items()}

    def serve(self, path: str, rpc: Rpc, handed: list[Any]) -> None:
        """Carry out a call of the method at `path`; never raises.

        `handed` has a message, or an iterator of messages, as the method takes it. It is taken out
        there, so that nobody but the method keeps a large message while the call lasts.
        """
        if not rpc.is_active():
            return
        handler = self._find(_Details(path, rpc.metadata))
        if handler is None:
            rpc.end(Status(grpc.StatusCode.UNIMPLEMENTED, "Method not found!", ()))
            return
        if handler.request_streaming:
            handed = [_arriving(handed.pop(), rpc)]
        context = _Context(rpc)
        try:
            last = _answer(handler, handed, context, rpc)
        except _Aborted:
            rpc.end(context.status())
        except Exception as error:  # noqa: BLE001 -- as gRPC does it for a method that fails
            _log.exception("a method failed")
            rpc.end(context.status(failed=f"Exception calling application: {error}"))
        else:
            rpc.end(context.status(), *last)

    def _find(self, details: _Details) -> Handler | None:
        find: _Find = lambda asked: self._methods.get(asked.method)  # noqa: E731 -- the innermost of many
        for interceptor in reversed(self._interceptors):
            find = partial(interceptor.intercept_service, find)
        return find(details)


def _answer(handler: Handler, handed: list[Any], context: _Context, rpc: Rpc) -> tuple[Any, ...]:
    """Call the method, send what it yields, and return the answer that ends the call, if any."""
    several: Serving | None = handler.stream_stream or handler.unary_stream
    one: Serving | None = handler.stream_unary or handler.unary_unary
    if several is None:
        assert one is not None  # noqa: S101 -- there are no other kinds
        return (one(handed.pop(), context),)
    answers = several(handed.pop(), context)
    try:
        for answer in answers:
            if not rpc.give(answer):
                break
    finally:
        answers.close()
    return ()


def _arriving(requests: Iterator[Any], rpc: Rpc) -> Iterator[Any]:
    """Yield the caller's messages; raises `grpc.RpcError` where they break off."""
    while True:
        if not rpc.is_active():
            raise grpc.RpcError
        try:
            request = next(requests)
        except StopIteration:
            return
        except Exception:  # noqa: BLE001 -- as gRPC does it for a caller that fails
            _log.exception("a caller's messages broke off")
            rpc.cut(grpc.StatusCode.UNKNOWN, "Exception iterating requests!")
            raise grpc.RpcError from None
        yield request


class _Aborted(Exception):
    """The method ended the call by `abort`."""


class _Context(grpc.ServicerContext):
    """What a method sees of its call."""

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc
        self._code: grpc.StatusCode | None = None
        self._details = ""
        self._trailing: Metadata = ()

    def status(self, failed: str = "") -> Status:
        """Return how the call is to end, as far as the method said it; `failed`: why it did not."""
        code = grpc.StatusCode.UNKNOWN if failed else grpc.StatusCode.OK
        return Status(self._code or code, self._details or failed, self._trailing)

    def is_active(self) -> bool:
        return self._rpc.is_active()

    def time_remaining(self) -> Any:
        return self._rpc.remaining()

    def cancel(self) -> bool:
        return self._rpc.cut(grpc.StatusCode.CANCELLED, "Cancelled")

    def add_callback(self, callback: Callable[[], None]) -> bool:
        return self._rpc.when_over(callback)

    def invocation_metadata(self) -> Any:
        return self._rpc.metadata

    def send_initial_metadata(self, initial_metadata: Any) -> None:
        self._rpc.begin(tuple(initial_metadata))

    def set_trailing_metadata(self, trailing_metadata: Any) -> None:
        self._trailing = tuple(trailing_metadata)

    def trailing_metadata(self) -> Any:
        return self._trailing

    def abort(self, code: grpc.StatusCode, details: str) -> NoReturn:
        self._code, self._details = code, details
        raise _Aborted

    def abort_with_status(self, status: grpc.Status) -> NoReturn:
        self._trailing = tuple(status.trailing_metadata or ())
        self.abort(status.code, status.details)

    def set_code(self, code: grpc.StatusCode) -> None:
        self._code = code

    def set_details(self, details: str) -> None:
        self._details = details

    def code(self) -> Any:
        return self._code

    def details(self) -> Any:
        return self._details

    def peer(self) -> str:
        return "in-process"

    def peer_identities(self) -> None:
        return None

    def peer_identity_key(self) -> None:
        return None

    def auth_context(self) -> dict[str, Any]:
        return {}
