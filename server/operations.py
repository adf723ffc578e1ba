"""The service's methods about edits that go on by themselves."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import grpc

from imageedit.v1 import image_edit_pb2 as pb
from server import messages
from server.accounts.keys import Key
from server.accounts.operations import Operation
from server.accounts.originals import FIRST_PAUSE, LAST_PAUSE, Attached, OriginalFailed
from server.answers_servicer import key_of, ticket_of
from server.callers import CHUNK_BYTES
from server.calls import current
from server.detached import Carried, DetachedCaller
from server.domain import EditError, Situation
from server.operation_messages import operation_message
from server.servicer import REPLAYED, EditsServicer, result_of
from server.uploads import Upload


class OperationsServicer(EditsServicer):
    """`ImageEdit` with its operations; `carried` are those of this process."""

    def __init__(self, carried: Carried, *parts: Any, **options: Any) -> None:
        super().__init__(*parts, **options)
        self._carried = carried

    def StartEditImage(  # noqa: N802 -- protobuf's name
        self, request_iterator: Iterator[pb.StartEditImageRequest], context: grpc.ServicerContext
    ) -> pb.StartEditImageResponse:
        """Start an edit, or find the one that this call repeats."""
        call = current.get()
        key = key_of(call)
        own = replace(call, method="EditImage", started=time.monotonic(), facts={})
        caller = DetachedCaller(own, self._patience.call, self._carried)
        upload, ticket = Upload(self._patience), replace(ticket_of(call), detached=True)
        requests = _without_partial_images(request_iterator)
        outcome = self._carry(requests, lambda: not context.is_active(), upload, ticket, caller)
        edit_id = call.request_id
        if not any(event.HasField("accepted") for event in self._events(caller, upload)):
            # It ended before it began: refused, or the repeat of another.
            try:
                edit_id = result_of(outcome).id
            except (Attached, OriginalFailed) as repeated:
                edit_id = repeated.edit_id
            context.set_trailing_metadata(REPLAYED)
        elif not context.is_active():
            caller.leave()  # nobody can be told its id, so it ends unless it is paid by now
        call.facts |= {"edit_id": edit_id, "replayed": edit_id != call.request_id}
        operation = self._desk.operations.get(key.account_id, edit_id)
        return pb.StartEditImageResponse(operation=operation_message(operation))

    def GetOperation(  # noqa: N802 -- protobuf's name
        self, request: pb.GetOperationRequest, context: grpc.ServicerContext
    ) -> pb.GetOperationResponse:
        """Return an operation as it is now."""
        del context
        return pb.GetOperationResponse(operation=operation_message(self._find(request.name)))

    def WaitOperation(  # noqa: N802 -- protobuf's name
        self, request: pb.WaitOperationRequest, context: grpc.ServicerContext
    ) -> pb.WaitOperationResponse:
        """Return an operation once it is done, or when the time is over."""
        seconds = self._patience.call
        if request.HasField("timeout"):
            seconds = min(seconds, request.timeout.ToNanoseconds() / 1e9)
        until, pause = time.monotonic() + seconds, FIRST_PAUSE
        with self._waiting(key_of(current.get())):
            while (operation := self._find(request.name)).ended is None:
                left = until - time.monotonic()
                if left <= 0 or not context.is_active():
                    break
                time.sleep(min(pause, left))
                pause = min(pause * 2, LAST_PAUSE)
        return pb.WaitOperationResponse(operation=operation_message(operation))

    def CancelOperation(  # noqa: N802 -- protobuf's name
        self, request: pb.CancelOperationRequest, context: grpc.ServicerContext
    ) -> pb.CancelOperationResponse:
        """Ask for the end of an operation, here or in another service."""
        del context
        account_id = key_of(current.get()).account_id
        operation = self._desk.operations.cancel(account_id, request.name)
        if operation.cancel_requested:
            self._carried.end(operation.id)
        return pb.CancelOperationResponse(operation=operation_message(operation))

    def DeleteOperation(  # noqa: N802 -- protobuf's name
        self, request: pb.DeleteOperationRequest, context: grpc.ServicerContext
    ) -> pb.DeleteOperationResponse:
        """Forget an operation that is done."""
        del context
        account_id = key_of(current.get()).account_id
        if self._desk.operations.forget(account_id, request.name):
            return pb.DeleteOperationResponse()
        return pb.DeleteOperationResponse(operation=operation_message(self._find(request.name)))

    def ReadOperationResult(  # noqa: N802 -- protobuf's name
        self, request: pb.ReadOperationResultRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.ReadOperationResultResponse]:
        """Return the picture of an operation that succeeded."""
        del context
        key = key_of(current.get())
        with self._waiting(key):
            result = self._desk.operations.picture(key.account_id, request.name)
            facts = messages.edit_response(result, with_picture=False)
            yield pb.ReadOperationResultResponse(result=facts)
            for chunk in messages.chunks(result.picture.data, CHUNK_BYTES):
                yield pb.ReadOperationResultResponse(result_chunk=chunk)

    @contextmanager
    def _waiting(self, key: Key) -> Iterator[None]:
        """Bound what holds a thread, and maybe a picture, for long: by key, and in all."""
        with self._desk.waiting.place(key), self._admission.wait(key.id):
            yield

    def _find(self, name: str) -> Operation:
        return self._desk.operations.get(key_of(current.get()).account_id, name)


def _without_partial_images(
    requests: Iterator[pb.StartEditImageRequest],
) -> Iterator[pb.StartEditImageRequest]:
    for request in requests:
        if request.parameters.partial_images:
            problem = "partial_images: nobody hears of them here; StreamEditImage gives some."
            raise EditError(Situation.BAD_REQUEST, problem, field="partial_images")
        yield request
