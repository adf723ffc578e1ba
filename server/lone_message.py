"""Calls of one message whose message never comes: they end instead of holding a thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc

from server.upstream.watchdog import Watchdog


class LoneMessageInterceptor(grpc.ServerInterceptor):
    """Ends a call whose one message is not there within `seconds`, without an answer.

    gRPC waits for the message in a thread of the pool before any handler, without end. On the wire
    a call of one message is a stream of one, so it can be served as that, and read here. To go
    around every other interceptor.
    """

    def __init__(self, watchdog: Watchdog, seconds: float) -> None:
        self._watchdog = watchdog
        self._seconds = seconds

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler[Any, Any] | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Return the handler for a call, one of a lone message as one of a stream."""
        handler = continuation(handler_call_details)
        if handler is None or handler.request_streaming:
            return handler
        how = (handler.request_deserializer, handler.response_serializer)
        if handler.unary_stream is not None:
            return grpc.stream_stream_rpc_method_handler(self._many(handler.unary_stream), *how)
        assert handler.unary_unary is not None  # noqa: S101 -- there are no other kinds
        return grpc.stream_unary_rpc_method_handler(self._one(handler.unary_unary), *how)

    def _one(self, behavior: Callable[..., Any]) -> Callable[..., Any]:
        def serve(requests: Iterator[Any], context: grpc.ServicerContext) -> Any:
            return behavior(self._message(requests, context), context)

        return serve

    def _many(self, behavior: Callable[..., Any]) -> Callable[..., Any]:
        def serve(requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
            yield from behavior(self._message(requests, context), context)

        return serve

    def _message(self, requests: Iterator[Any], context: grpc.ServicerContext) -> Any:
        def end() -> None:
            context.cancel()

        ticket = self._watchdog.at(time.monotonic() + self._seconds, end)
        try:
            message = next(requests, None)
        finally:
            ticket.cancel()
        if message is None:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "The call has no message.")
        return message
