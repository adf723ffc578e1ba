"""The channel: makes calls, and runs each in a thread of its own."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any

import grpc

from imageedit.in_process.call import InProcessCall
from imageedit.in_process.handlers import Handlers
from imageedit.in_process.rpc import Rpc

NO_THREAD = "failed to connect to all addresses; there is no thread for another call"
"""Begins as gRPC says it of a call that surely reached nobody."""


class InProcessChannel(grpc.Channel):
    """Calls the methods of `handlers`, as many at once as there are `threads`; others wait."""

    def __init__(self, handlers: Handlers, threads: int) -> None:
        self._handlers = handlers
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="call")
        self._lock = Lock()
        self._under_way: set[Rpc] = set()
        self._closed = False

    def unary_unary(self, method: str, *_: Any, **__: Any) -> Any:
        return _Method(self, method)

    def stream_unary(self, method: str, *_: Any, **__: Any) -> Any:
        return _Method(self, method)

    def unary_stream(self, method: str, *_: Any, **__: Any) -> Any:
        return _Stream(self, method)

    def stream_stream(self, method: str, *_: Any, **__: Any) -> Any:
        return _Stream(self, method)

    def subscribe(self, callback: Any, try_to_connect: bool | None = False) -> None:
        """Tell `callback` that it is ready, which does not change until it is closed."""
        callback(grpc.ChannelConnectivity.READY)

    def unsubscribe(self, callback: Any) -> None:
        """Do nothing: there is nothing to tell any more."""

    def close(self) -> None:
        """End every call, and take no more."""
        with self._lock:
            self._closed = True
            left = list(self._under_way)
        for rpc in left:
            rpc.cut(grpc.StatusCode.CANCELLED, "Channel closed!")
        self._pool.shutdown(wait=False)

    def __enter__(self) -> InProcessChannel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def begin(self, method: str, requests: Any, timeout: float | None, metadata: Any) -> Rpc:
        """Begin a call; raises ValueError where the channel is closed."""
        rpc = Rpc(metadata, timeout)
        with self._lock:
            if self._closed:
                raise ValueError("Cannot invoke RPC on closed channel!")
            self._under_way.add(rpc)
            try:
                self._pool.submit(self._run, method, rpc, [requests])
            except RuntimeError:  # it is queued for the next thread, which must find it ended
                rpc.cut(grpc.StatusCode.UNAVAILABLE, NO_THREAD)
        return rpc

    def _run(self, method: str, rpc: Rpc, handed: list[Any]) -> None:
        try:
            self._handlers.serve(method, rpc, handed)
        finally:
            with self._lock:
                self._under_way.discard(rpc)


class _Stream:
    """A method that answers more than once."""

    def __init__(self, channel: InProcessChannel, method: str) -> None:
        self._channel = channel
        self._method = method

    def __call__(
        self,
        requests: Any | Iterator[Any],
        timeout: float | None = None,
        metadata: Any = None,
        *_: Any,
        **__: Any,
    ) -> InProcessCall:
        """Begin a call; iterate over what it returns."""
        return InProcessCall(self._channel.begin(self._method, requests, timeout, metadata))


class _Method(_Stream):
    """A method that answers once: waited for, with the call beside it, or as a future."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Return the answer; raises `grpc.RpcError`."""
        return self.with_call(*args, **options)[0]

    def with_call(self, *args: Any, **options: Any) -> tuple[Any, InProcessCall]:
        """Return the answer and the call; raises `grpc.RpcError`."""
        call = self.future(*args, **options)
        if call.code() is not grpc.StatusCode.OK:
            raise call
        return call.result(), call

    def future(self, *args: Any, **options: Any) -> InProcessCall:
        """Return the call, which has begun."""
        return super().__call__(*args, **options)
