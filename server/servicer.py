"""The methods of the service that answer with a picture: messages in, the editor, messages out."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import copy_context
from typing import Any

import grpc

from imageedit.v1 import image_edit_pb2 as pb
from server import messages
from server.accounts.desk import Ticket
from server.accounts.fingerprint import fingerprint
from server.admission import leaving
from server.answers_servicer import AnswersServicer, ticket_of
from server.callers import CHUNK_BYTES, RpcCaller, ToldCaller
from server.calls import current, forget
from server.domain import EditError, EditResult, Situation
from server.patience import Patience
from server.uploads import Message, Upload

PROGRESS_SECONDS = 5.0
REPLAYED = (("idempotent-replayed", "true"),)
LOOK_SECONDS = 0.5  # how often an upload's time, and a drain, is looked at


class EditsServicer(AnswersServicer):
    """The methods whose answer is a picture."""

    def __init__(
        self, *parts: Any, patience: Patience, progress_seconds: float = PROGRESS_SECONDS
    ) -> None:
        super().__init__(*parts)
        self._patience = patience
        self._progress_seconds = progress_seconds

    def EditImage(  # noqa: N802 -- protobuf's name
        self, request: pb.EditImageRequest, context: grpc.ServicerContext
    ) -> pb.EditImageResponse:
        """Edit one picture, inline both ways."""
        call = current.get()
        mask = request.mask.data if request.HasField("mask") else None
        if request.partial_images:
            problem = "partial_images: this call gives none; StreamEditImage does."
            raise EditError(Situation.BAD_REQUEST, problem, field="partial_images")
        caller = RpcCaller(context, call, self._patience.call)
        edit = messages.edit_request(request, [image.data for image in request.images], mask)
        del request  # of which the pictures were copied
        call.bytes_in += edit.picture_bytes
        ticket = ticket_of(call)
        with self._admission.load(ticket.key.id) as load:
            with self._desk.noting(ticket, lambda: fingerprint(edit)):
                self._admission.check(ticket.key.id)
                load.add(edit.picture_bytes)
            result = self._editor.edit(edit, ticket, caller)
        caller.finished(result)
        call.bytes_out += len(result.picture.data)
        _tell_replay(result, context)
        return messages.edit_response(result, with_picture=True)

    def StreamEditImage(  # noqa: N802 -- protobuf's name
        self,
        request_iterator: Iterator[pb.StreamEditImageRequest],
        context: grpc.ServicerContext,
    ) -> Iterator[pb.StreamEditImageResponse]:
        """Edit one picture, in chunks both ways, with events while it is under way."""
        call = current.get()
        caller = RpcCaller(context, call, self._patience.call)
        upload = Upload(self._patience)
        outcome = self._carry(request_iterator, caller.left, upload, ticket_of(call), caller)
        yield from self._events(caller, upload)
        result = result_of(outcome)
        _tell_replay(result, context)
        yield pb.StreamEditImageResponse(result=messages.edit_response(result, with_picture=False))
        for chunk in messages.chunks(result.picture.data, CHUNK_BYTES):
            yield pb.StreamEditImageResponse(result_chunk=chunk)

    def _carry(
        self,
        requests: Iterator[Message],
        left: Callable[[], bool],
        upload: Upload,
        ticket: Ticket,
        caller: ToldCaller,
    ) -> list[EditResult | BaseException]:
        """Begin to collect an edit's messages, and to edit; return where its end will be put.

        `left` tells whether who sends the messages is gone. The end of an edit that is not awaited
        any more is put nowhere.
        """
        outcome: list[EditResult | BaseException] = []
        key = ticket.key

        def work() -> None:
            try:
                with caller.carried(), self._admission.load(key.id) as load:
                    with self._desk.unread(ticket), self._admission.upload(key.id):
                        edit = upload.collect(requests, left, load)
                    result = self._editor.edit(edit, ticket, caller)
                    caller.finished(result)
                    if caller.awaited:
                        outcome.append(result)
            except BaseException as error:  # noqa: BLE001 -- raised again in the RPC's thread
                if caller.awaited:
                    outcome.append(error)
                else:
                    forget(error)
            finally:
                caller.events.put(None)

        self.check_room(ticket)
        # The RPC's own thread must be free to send events, and to give up what does not arrive, so
        # another carries the edit.
        threading.Thread(target=copy_context().run, args=(work,), name="edit", daemon=True).start()
        return outcome

    def _events(self, caller: ToldCaller, upload: Upload) -> Iterator[pb.StreamEditImageResponse]:
        """Yield what happens until the edit ends, and progress while nothing does.

        Raises `EditError` for an upload that takes too long, or that a drain meets: this ends the
        RPC, and with it the messages that the other thread waits for.
        """
        started = told = time.monotonic()
        while True:
            due = told + self._progress_seconds - time.monotonic()
            try:
                wait = due if upload.whole else min(due, LOOK_SECONDS)
                event = caller.events.get(timeout=max(wait, 0.0))
            except queue.Empty:
                upload.check_time()
                if self._admission.draining and not upload.whole:
                    raise leaving() from None
                now = time.monotonic()
                if now - told < self._progress_seconds:
                    continue
                event = pb.StreamEditImageResponse(
                    progress=pb.EditProgress(elapsed_seconds=now - started)
                )
            if event is None:
                return
            told = time.monotonic()
            yield event


def result_of(outcome: list[EditResult | BaseException]) -> EditResult:
    """Return an edit's result, out of where it was put; raises what was put there instead."""
    result = outcome.pop()
    if isinstance(result, BaseException):
        try:
            raise result
        finally:
            del result  # or it would stay in its own traceback, and the pictures with it
    return result


def _tell_replay(result: EditResult, context: grpc.ServicerContext) -> None:
    if result.replayed:
        context.set_trailing_metadata(REPLAYED)
