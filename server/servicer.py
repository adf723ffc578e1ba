"""The service's methods: messages in, the editor, messages out."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import copy_context
from dataclasses import asdict

import grpc

from imageedit.v1 import image_edit_pb2 as pb
from imageedit.v1 import image_edit_pb2_grpc
from server import messages
from server.accounts.desk import Desk, Ticket
from server.accounts.keys import Key
from server.admission import Admission, leaving
from server.calls import Call, current
from server.catalog import Catalog
from server.domain import EditError, EditResult, Picture, Situation
from server.editor import Editor
from server.patience import Patience
from server.tracing import spans
from server.uploads import Upload
from server.upstream.attempts import AttemptRecord

CHUNK_BYTES = 1_048_576
PROGRESS_SECONDS = 5.0
LOOK_SECONDS = 0.5  # how often an upload's time, and a drain, is looked at


class RpcCaller:
    """The caller of an RPC, as the editor sees it: it waits `patience` seconds at the most."""

    def __init__(self, context: grpc.ServicerContext, call: Call, patience: float) -> None:
        self._context = context
        self._call = call
        self._until = call.started + patience
        self.events: queue.SimpleQueue[pb.StreamEditImageResponse | None] = queue.SimpleQueue()

    def remaining(self) -> float:
        """Return the seconds until the RPC's deadline, or ours where it has none or a later one."""
        ours = self._until - time.monotonic()
        seconds = self._context.time_remaining()
        return ours if seconds is None else min(ours, seconds)

    def left(self) -> bool:
        """Tell whether the RPC is over: the caller cancelled, or its deadline passed."""
        return not self._context.is_active()

    def on_leave(self, callback: Callable[[], None]) -> None:
        """Have `callback` called when the RPC ends, at once if it has."""
        if not self._context.add_callback(callback):
            callback()

    def accepted(self, model: str) -> None:
        """Note that the edit passed every check, and tell a streaming caller."""
        self._call.facts["model"] = model
        self.events.put(pb.StreamEditImageResponse(accepted=pb.EditAccepted(model=model)))

    def partial(self, index: int, picture: Picture, *, transparent: bool) -> None:
        """Send a picture on its way to the result, in pieces."""
        for message in messages.partial_image(index, picture, transparent, CHUNK_BYTES):
            self.events.put(pb.StreamEditImageResponse(partial_image=message))

    def attempted(self, record: AttemptRecord) -> None:
        """Note an attempt for the log, and in the attempt's span."""
        spans.note(route=f"{record.provider}:{record.model}", outcome=record.outcome)
        attempts = self._call.facts.setdefault("attempts", [])
        assert isinstance(attempts, list)  # noqa: S101 -- made in the line above
        attempts.append(asdict(record) | {"seconds": round(record.seconds, 3)})


class ImageEditServicer(image_edit_pb2_grpc.ImageEditServicer):
    """`ImageEdit` (proto/imageedit/v1/image_edit.proto); errors leave as `EditError`."""

    def __init__(
        self,
        editor: Editor,
        catalog: Catalog,
        desk: Desk,
        admission: Admission,
        patience: Patience,
        *,
        progress_seconds: float = PROGRESS_SECONDS,
    ) -> None:
        self._progress_seconds = progress_seconds
        self._editor = editor
        self._catalog = catalog
        self._desk = desk
        self._admission = admission
        self._patience = patience

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
        key = _key(call)
        self._check_room(key)
        with self._admission.load(key.id) as load:
            with self._desk.arrivals.refusing(key.account_id):
                load.add(edit.picture_bytes)
            result = self._editor.edit(edit, _ticket(call), caller)
        _note(call, result, context)
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
        outcome: list[EditResult | BaseException] = []
        key = _key(call)

        def work() -> None:
            refusing = self._desk.arrivals.refusing(key.account_id)
            try:
                with self._admission.load(key.id) as load:
                    with refusing, self._admission.upload(key.id):
                        edit = upload.collect(request_iterator, caller.left, load)
                    outcome.append(self._editor.edit(edit, _ticket(call), caller))
            except BaseException as error:  # noqa: BLE001 -- raised again in the RPC's thread
                outcome.append(error)
            finally:
                caller.events.put(None)

        self._check_room(key)
        # The RPC's own thread must be free to send events, and to give up what does not arrive, so
        # another carries the edit.
        threading.Thread(target=copy_context().run, args=(work,), name="edit", daemon=True).start()
        yield from self._events(caller, upload)
        result = outcome.pop()
        if isinstance(result, BaseException):
            try:
                raise result
            finally:
                del result  # or it would stay in its own traceback, and the pictures with it
        _note(call, result, context)
        yield pb.StreamEditImageResponse(result=messages.edit_response(result, with_picture=False))
        data = result.picture.data
        for start in range(0, len(data), CHUNK_BYTES):
            chunk = pb.ImageChunk(data=data[start : start + CHUNK_BYTES])
            yield pb.StreamEditImageResponse(result_chunk=chunk)

    def _events(self, caller: RpcCaller, upload: Upload) -> Iterator[pb.StreamEditImageResponse]:
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

    def _check_room(self, key: Key) -> None:
        """Raise `EditError` where an edit would find no room, before its pictures are read."""
        with self._desk.arrivals.refusing(key.account_id):
            self._admission.check(key.id)

    def ListModels(  # noqa: N802 -- protobuf's name
        self, request: pb.ListModelsRequest, context: grpc.ServicerContext
    ) -> pb.ListModelsResponse:
        """List the models that can be routed now."""
        del request, context
        return pb.ListModelsResponse(
            models=[
                messages.model_message(model, self._catalog.routes(model))
                for model in self._catalog.models
            ]
        )

    def GetModel(  # noqa: N802 -- protobuf's name
        self, request: pb.GetModelRequest, context: grpc.ServicerContext
    ) -> pb.GetModelResponse:
        """Return one model that can be routed now."""
        del context
        model = self._catalog.find(request.model)
        return pb.GetModelResponse(model=messages.model_message(model, self._catalog.routes(model)))

    def CheckKey(  # noqa: N802 -- protobuf's name
        self, request: pb.CheckKeyRequest, context: grpc.ServicerContext
    ) -> pb.CheckKeyResponse:
        """Say what is known of the key, and refuse one that could not edit now."""
        del context
        call = current.get()
        key = _key(call)
        if request.before_edit:
            self._check_room(key)
            self._desk.check(_ticket(call))
        return pb.CheckKeyResponse(key_id=key.id, name=key.name)

    def EstimateCost(  # noqa: N802 -- protobuf's name
        self, request: pb.EstimateCostRequest, context: grpc.ServicerContext
    ) -> pb.EstimateCostResponse:
        """Say what an edit costs at the most."""
        del context
        picture = request.image_size if request.HasField("image_size") else None
        model, nanos = self._editor.estimate(messages.estimate(request), picture)
        return pb.EstimateCostResponse(model=model, max_cost_nanos=nanos)

    def GetCredits(  # noqa: N802 -- protobuf's name
        self, request: pb.GetCreditsRequest, context: grpc.ServicerContext
    ) -> pb.GetCreditsResponse:
        """Say what the key's account has, holds and spent."""
        del request, context
        balance = self._desk.ledger.balance(_key(current.get()).account_id)
        return pb.GetCreditsResponse(
            balance_nanos=balance.posted, held_nanos=balance.held, spent_nanos=balance.spent
        )

    def ConfirmDelivery(  # noqa: N802 -- protobuf's name
        self, request: pb.ConfirmDeliveryRequest, context: grpc.ServicerContext
    ) -> pb.ConfirmDeliveryResponse:
        """Note that the end client has the whole answer."""
        del context
        self._desk.idempotency.confirm(_key(current.get()).account_id, request.edit_id)
        return pb.ConfirmDeliveryResponse()


def _key(call: Call) -> Key:
    """Return the key that the interceptor has checked."""
    if call.key is None:
        raise EditError(Situation.BUG, f"{call.method} ran without a key.")
    return call.key


def _ticket(call: Call) -> Ticket:
    return Ticket(_key(call), call.request_id, call.idempotency_key, call.retry_count)


def _note(call: Call, result: EditResult, context: grpc.ServicerContext) -> None:
    if result.replayed:
        context.set_trailing_metadata((("idempotent-replayed", "true"),))
    call.facts |= {
        "edit_id": result.id,
        "replayed": result.replayed,
        "width": result.picture.width,
        "height": result.picture.height,
        "input_tokens": result.tokens.input,
        "output_tokens": result.tokens.output,
        "cost_nanos": result.cost_nanos,
        "mask_method": result.mask_report.method if result.mask_report else None,
        "ignored_parameters": list(result.ignored_parameters),
    }
