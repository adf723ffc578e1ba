"""The client: what the service can be asked, with one key."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from decimal import Decimal
from os import PathLike
from types import TracebackType
from typing import Any, Self, Unpack

import grpc

from imageedit.client import answers
from imageedit.client.answers import Credits, Model, Result
from imageedit.client.errors import error_of
from imageedit.client.events import Event, events
from imageedit.client.request import Options, Picture, content, messages, number, parameters
from imageedit.v1 import image_edit_pb2 as pb
from imageedit.v1.image_edit_pb2_grpc import ImageEditStub

EDIT_SECONDS = 600.0  # longer than an edit may take there, so that its own error comes first
ASK_SECONDS = 30.0


class Client:
    """The service, asked with one key. A context manager; every method raises `ImageEditError`."""

    def __init__(self, channel: grpc.Channel, key: str) -> None:
        self._channel = channel
        self._stub = ImageEditStub(channel)
        self._metadata = (("authorization", f"Bearer {_printable('key', key)}"),)

    def edit(
        self,
        model: str,
        prompt: str,
        images: Picture | Sequence[Picture],
        *,
        mask: Picture | None = None,
        idempotency_key: str | None = None,
        timeout: float = EDIT_SECONDS,
        **options: Unpack[Options],
    ) -> Result:
        """Edit a picture as `prompt` says and return the result.

        `images`: the picture, or that and reference pictures. `mask`: opaque (or white) pixels are
        edited, as large as the first picture. With an `idempotency_key` the edit is done and paid
        once, however often it is asked for. `timeout`: seconds for all of it.
        """
        happened = self.stream(
            model,
            prompt,
            images,
            mask=mask,
            idempotency_key=idempotency_key,
            timeout=timeout,
            **options,
        )
        with closing(happened):
            return next(event for event in happened if isinstance(event, Result))

    def stream(
        self,
        model: str,
        prompt: str,
        images: Picture | Sequence[Picture],
        *,
        mask: Picture | None = None,
        partial_images: int = 0,
        idempotency_key: str | None = None,
        timeout: float = EDIT_SECONDS,
        **options: Unpack[Options],
    ) -> Generator[Event]:
        """Edit a picture and yield what happens: `Accepted`, `Progress`, `Partial`, `Result`.

        `partial_images`, 0 to 3: how many previews are wanted of models that give some. The rest
        is as in `edit`. Closing the iterator early cancels the call.
        """
        request = parameters(model, prompt, options, partial_images)
        given = [images] if isinstance(images, bytes | str | PathLike) else images
        files = [content(image) for image in given]
        once = [] if idempotency_key is None else [_printable("idempotency key", idempotency_key)]
        call = self._stub.StreamEditImage(
            messages(request, files, None if mask is None else content(mask)),
            metadata=(*self._metadata, *(("idempotency-key", value) for value in once)),
            timeout=timeout,
        )
        try:
            yield from events(call)
        except grpc.RpcError as error:
            raise error_of(error) from None
        finally:
            call.cancel()

    def models(self) -> list[Model]:
        """Return the models that can be routed now."""
        listed = self._ask(self._stub.ListModels, pb.ListModelsRequest())
        return [answers.model(model) for model in listed.models]

    def credits(self) -> Credits:
        """Return what the key's account has, holds and spent."""
        told = self._ask(self._stub.GetCredits, pb.GetCreditsRequest())
        return Credits(told.balance_nanos, told.held_nanos, told.spent_nanos)

    def estimate(
        self,
        model: str,
        prompt: str = "",
        *,
        size: str | None = None,
        quality: str | None = None,
        image_count: int = 1,
        masked: bool = False,
        image_size: str | None = None,
    ) -> Decimal:
        """Return what an edit costs at the most, in US dollars; nothing is sent or paid.

        `image_size`: "WIDTHxHEIGHT" of the first picture, which bounds the cost of a masked edit.
        """
        request = pb.EstimateCostRequest(
            model=model,
            prompt=prompt,
            size=size,
            image_count=image_count,
            masked=masked,
            image_size=image_size,
        )
        if quality is not None:
            request.quality = pb.Quality.ValueType(number("quality", quality))
        told = self._ask(self._stub.EstimateCost, request)
        return answers.dollars(told.max_cost_nanos)

    def close(self) -> None:
        """End the connection, and every call on it."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _ask(self, method: Callable[..., Any], request: Any) -> Any:
        try:
            return method(request, metadata=self._metadata, timeout=ASK_SECONDS)
        except grpc.RpcError as error:
            raise error_of(error) from None


def _printable(name: str, text: str) -> str:
    """Return what metadata can hold; a `ValueError` does not show it, for it may be a secret."""
    if not (text and text.isascii() and text.isprintable()):
        raise ValueError(f"the {name} must be printable ASCII; is there a line break at its end?")
    return text
