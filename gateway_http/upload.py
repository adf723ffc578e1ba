"""Calls to the service for one request: small pictures in one message, large ones in chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol, TypeVar

import grpc

from gateway_http import errors
from gateway_http.asking import ask, problem
from gateway_http.channel import Service
from gateway_http.form import Form
from gateway_http.leaving import Leaving
from gateway_http.metadata import Metadata, to_headers
from imageedit.v1.image_edit_pb2 import (
    CheckKeyRequest,
    EditImageRequest,
    EditImageResponse,
    ImageChunk,
    Operation,
    StartEditImageRequest,
    StreamEditImageRequest,
    StreamEditImageResponse,
)

Sent = TypeVar("Sent", StreamEditImageRequest, StartEditImageRequest)

MAX_UNARY = 1_048_576
"""Bytes of pictures up to which one message is cheaper than chunks."""
CHUNK = 1_048_576
MARGIN = 60.0
"""Seconds beside the attempt itself: checks, download, re-encoding, and a second route."""


class Running(Protocol):
    """An edit under way: its events, raising `grpc.RpcError`, and the metadata around them."""

    def __iter__(self) -> Iterator[StreamEditImageResponse]: ...

    def initial_metadata(self) -> Iterable[tuple[str, str | bytes]] | None:
        """Return what came before the first event; waits for it."""

    def trailing_metadata(self) -> Iterable[tuple[str, str | bytes]] | None:
        """Return what came after the last event; waits for it."""

    def cancel(self) -> bool:
        """End the call, unless it has ended."""


@dataclass(frozen=True, slots=True)
class Edited:
    """The service's answer: the facts, the picture's file, and headers for the response."""

    facts: EditImageResponse
    picture: bytes
    headers: dict[str, str]


class Caller:
    """The way of one HTTP request to the service. Every failure is raised as an HttpError.

    `leaving` cancels the edit's call when the client hangs up: the service then ends an edit that
    no upstream has yet, and finishes another for the client's retry.
    """

    def __init__(
        self,
        service: Service,
        metadata: Metadata,
        attempt_timeout: float,
        leaving: Leaving | None = None,
    ) -> None:
        self._service = service
        self._metadata = metadata
        self._timeout = attempt_timeout + MARGIN
        self._leaving = leaving

    def check_key(self, *, before_edit: bool = False) -> dict[str, str]:
        """Return the headers that answers to a valid key carry; raises HttpError for another."""
        _, headers = ask(
            self._service.images.CheckKey, CheckKeyRequest(before_edit=before_edit), self._metadata
        )
        return headers

    def edit(self, request: EditImageRequest, form: Form) -> Edited:
        """Return the edit of `form`'s pictures that `request` describes, and close `form`."""
        try:
            if form.picture_bytes <= MAX_UNARY:
                return self._unary(request, form)
            return self._chunked(request, form)
        except grpc.FutureCancelledError:
            raise errors.gone() from None
        except grpc.RpcError as error:
            raise problem(error) from None

    def begin(self, request: EditImageRequest, form: Form) -> Running:
        """Begin the edit.

        `form` may be closed once the first event came: the service has it whole by then.
        """
        return self._service.images.StreamEditImage(
            _messages(StreamEditImageRequest, request, form),
            timeout=self._timeout,
            metadata=self._metadata,
        )

    def start(self, request: EditImageRequest, form: Form) -> tuple[Operation, dict[str, str]]:
        """Begin the edit as a job; return it, and headers for the response."""
        call = self._service.images.StartEditImage.future(
            _messages(StartEditImageRequest, request, form),
            timeout=self._timeout,
            metadata=self._metadata,
        )
        try:
            with self.while_waiting(call.cancel):
                response = call.result()
        except grpc.FutureCancelledError:
            raise errors.gone() from None
        except grpc.RpcError as error:
            raise problem(error) from None
        return response.operation, to_headers(call.initial_metadata(), call.trailing_metadata())

    def confirm(self, edit_id: str) -> None:
        """Say that the client has the answer; neither waits nor fails."""
        self._service.confirmations.add(self._metadata, edit_id)

    def while_waiting(self, cancel: Callable[[], object]) -> AbstractContextManager[None]:
        """Call `cancel` if the client hangs up before this is left."""
        return nullcontext() if self._leaving is None else self._leaving.cancels(cancel)

    def _unary(self, request: EditImageRequest, form: Form) -> Edited:
        call = self._service.images.EditImage.future(
            _whole(request, form), timeout=self._timeout, metadata=self._metadata
        )
        form.close()  # the edit takes minutes, and the call has the pictures
        with self.while_waiting(call.cancel):
            response = call.result()
        headers = to_headers(call.initial_metadata(), call.trailing_metadata())
        return Edited(response, response.image.data, headers)

    def _chunked(self, request: EditImageRequest, form: Form) -> Edited:
        call = self.begin(request, form)
        try:
            with self.while_waiting(call.cancel):
                for event in call:
                    if event.HasField("result"):
                        return received(event.result, call)
        finally:
            call.cancel()  # nothing, unless leaving early
        raise errors.bug()


def received(facts: EditImageResponse, call: Running) -> Edited:
    """Return the result that `facts` begin and the rest of the call's events carry."""
    pieces = [event.result_chunk.data for event in call]
    headers = to_headers(call.initial_metadata(), call.trailing_metadata())
    return Edited(facts, b"".join(pieces), headers)


def _whole(request: EditImageRequest, form: Form) -> EditImageRequest:
    """Return the request with its pictures, a message of its own for the call alone to hold."""
    whole = EditImageRequest()
    whole.CopyFrom(request)
    for upload in form.images:
        whole.images.add(data=upload.data())  # `extend` would write and read each picture again
    if form.mask is not None:
        whole.mask.data = form.mask.data()
    return whole


def _messages(kind: type[Sent], request: EditImageRequest, form: Form) -> Iterator[Sent]:
    yield kind(parameters=request)
    for index, upload in enumerate(form.images):
        for piece in upload.pieces(CHUNK):
            yield kind(image_chunk=ImageChunk(index=index, data=piece))
    if form.mask is not None:
        for piece in form.mask.pieces(CHUNK):
            yield kind(mask_chunk=ImageChunk(data=piece))
