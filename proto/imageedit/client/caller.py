"""The service's stub with one key: calls with their metadata, errors as `ImageEditError`."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from imageedit.client.errors import error_of
from imageedit.v1.image_edit_pb2_grpc import ImageEditStub

ASK_SECONDS = 30.0


class Caller:
    """Calls methods of `stub` in the name of a key."""

    def __init__(self, channel: grpc.Channel, key: str) -> None:
        self.stub = ImageEditStub(channel)
        self._metadata = (("authorization", f"Bearer {_printable('key', key)}"),)

    def ask(self, method: Callable[..., Any], request: Any, timeout: float = ASK_SECONDS) -> Any:
        """Return the answer to one message."""
        with told():
            return method(request, metadata=self._metadata, timeout=timeout)

    def send(
        self,
        method: Callable[..., Any],
        requests: Iterator[Any],
        idempotency_key: str | None,
        timeout: float,
    ) -> Any:
        """Send an edit's messages; return what the method returns."""
        once = [] if idempotency_key is None else [_printable("idempotency key", idempotency_key)]
        metadata = (*self._metadata, *(("idempotency-key", value) for value in once))
        with told():
            return method(requests, metadata=metadata, timeout=timeout)


@contextmanager
def told() -> Generator[None]:
    """Raise an error of gRPC as an `ImageEditError`."""
    try:
        yield
    except grpc.RpcError as error:
        raise error_of(error) from None


def request_id_of(call: Any) -> str | None:
    """Return the id that the service gave to a call."""
    return dict(call.initial_metadata() or ()).get("x-request-id")


def _printable(name: str, text: str) -> str:
    """Return what metadata can hold; a `ValueError` does not show it, for it may be a secret."""
    if not (text and text.isascii() and text.isprintable()):
        raise ValueError(f"the {name} must be printable ASCII; is there a line break at its end?")
    return text
