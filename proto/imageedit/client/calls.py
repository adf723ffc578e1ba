"""The client: what the service can be asked, with one key."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from decimal import Decimal
from types import TracebackType
from typing import Self, Unpack

import grpc

from imageedit.client import answers
from imageedit.client.answers import Credits, Model, Result
from imageedit.client.caller import Caller, told
from imageedit.client.events import Event, events
from imageedit.client.jobs import Jobs
from imageedit.client.request import EDIT_SECONDS, Options, Picture, messages, number, parameters
from imageedit.v1 import image_edit_pb2 as pb


class Client:
    """The service, asked with one key. A context manager; every method raises `ImageEditError`.

    `jobs` has edits that go on by themselves, for callers that can't hold a call for minutes.
    """

    def __init__(self, channel: grpc.Channel, key: str) -> None:
        self._channel = channel
        self._caller = Caller(channel, key)
        self.jobs = Jobs(self._caller)

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
        requests = messages(pb.StreamEditImageRequest, request, images, mask)
        method = self._caller.stub.StreamEditImage
        call = self._caller.send(method, requests, idempotency_key, timeout)
        try:
            with told():
                yield from events(call)
        finally:
            call.cancel()

    def models(self) -> list[Model]:
        """Return the models that can be routed now."""
        listed = self._caller.ask(self._caller.stub.ListModels, pb.ListModelsRequest())
        return [answers.model(model) for model in listed.models]

    def credits(self) -> Credits:
        """Return what the key's account has, holds and spent."""
        told = self._caller.ask(self._caller.stub.GetCredits, pb.GetCreditsRequest())
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
        told = self._caller.ask(self._caller.stub.EstimateCost, request)
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
