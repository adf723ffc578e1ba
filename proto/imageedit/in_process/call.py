"""The caller's end: what a stub returns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc

from imageedit.in_process.rpc import Rpc

CANCELLED = "Locally cancelled by application!"


class InProcessCall(grpc.RpcError, grpc.Call, grpc.Future):  # type: ignore[type-arg] # it is generic in its stubs alone
    """A call under way or ended: an iterator of its answers, a future, and the error it may be."""

    def __init__(self, rpc: Rpc) -> None:
        super().__init__()
        self._rpc = rpc
        self._answer: tuple[Any, ...] = ()

    def __iter__(self) -> InProcessCall:
        return self

    def __next__(self) -> Any:
        """Return the next answer, once it is there; raises itself where the call failed."""
        for answer in self._rpc.take():
            return answer
        if self.code() is not grpc.StatusCode.OK:
            raise self
        raise StopIteration

    def __str__(self) -> str:
        status = self._rpc.ended()
        return f"<call: {status.code.name}: {status.details}>" if status else "<call under way>"

    def initial_metadata(self) -> Any:
        return self._rpc.initial()

    def trailing_metadata(self) -> Any:
        return self._rpc.status().trailing

    def code(self) -> grpc.StatusCode:
        return self._rpc.status().code

    def details(self) -> str:
        return self._rpc.status().details

    def is_active(self) -> bool:
        return self._rpc.is_active()

    def time_remaining(self) -> Any:
        return self._rpc.remaining()

    def add_callback(self, callback: Callable[[], None]) -> bool:
        return self._rpc.when_over(callback)

    def cancel(self) -> bool:
        return self._rpc.cut(grpc.StatusCode.CANCELLED, CANCELLED)

    def cancelled(self) -> bool:
        """Tell whether it ended by `cancel`; one that the service cancelled has failed."""
        status = self._rpc.ended()
        return status is not None and status.details == CANCELLED

    def running(self) -> bool:
        return self._rpc.is_active()

    def done(self) -> bool:
        return not self._rpc.is_active()

    def result(self, timeout: float | None = None) -> Any:
        """Return the one answer, once it is there.

        Raises FutureCancelledError, or itself where the call failed. `timeout` is not kept: the
        call has its own.
        """
        status = self._rpc.status()
        if status.code is grpc.StatusCode.OK:
            self._answer = self._answer or self._rpc.take()
            return self._answer[0]
        if self.cancelled():
            raise grpc.FutureCancelledError
        raise self

    def exception(self, timeout: float | None = None) -> Any:
        """Return itself where the call failed; raises FutureCancelledError."""
        status = self._rpc.status()
        if self.cancelled():
            raise grpc.FutureCancelledError
        return None if status.code is grpc.StatusCode.OK else self

    def traceback(self, timeout: float | None = None) -> None:
        """Return nothing: where the service failed is its own affair."""

    def add_done_callback(self, fn: Callable[[Any], None]) -> None:
        if not self._rpc.when_over(lambda: fn(self)):
            fn(self)
