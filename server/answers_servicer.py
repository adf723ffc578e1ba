"""The methods of the service that answer at once: models, keys, costs, credits, usage."""

from __future__ import annotations

import grpc

from imageedit.v1 import image_edit_pb2 as pb
from imageedit.v1 import image_edit_pb2_grpc
from server import messages
from server.accounts.desk import Desk, Ticket
from server.accounts.keys import Key
from server.admission import Admission
from server.calls import Call, current
from server.catalog import Catalog
from server.domain import EditError, Situation
from server.editor import Editor
from server.usage_reports import UsageReports

MAX_CONFIRMED = 1_000


class AnswersServicer(image_edit_pb2_grpc.ImageEditServicer):
    """`ImageEdit` (proto/imageedit/v1/image_edit.proto) but for its edits.

    Errors leave as `EditError`.
    """

    def __init__(
        self,
        editor: Editor,
        catalog: Catalog,
        desk: Desk,
        admission: Admission,
        usage: UsageReports,
    ) -> None:
        self._editor = editor
        self._catalog = catalog
        self._desk = desk
        self._admission = admission
        self._usage = usage

    def check_room(self, ticket: Ticket) -> None:
        """Raise `EditError` where an edit would find no room, before its pictures are read."""
        with self._desk.unread(ticket):
            self._admission.check(ticket.key.id)

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
        key = key_of(call)
        if request.before_edit:
            self.check_room(ticket_of(call))
            self._desk.check(ticket_of(call))
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
        balance = self._desk.ledger.balance(key_of(current.get()).account_id)
        return pb.GetCreditsResponse(
            balance_nanos=balance.posted, held_nanos=balance.held, spent_nanos=balance.spent
        )

    def ListEdits(  # noqa: N802 -- protobuf's name
        self, request: pb.ListEditsRequest, context: grpc.ServicerContext
    ) -> pb.ListEditsResponse:
        """List the edits of the key's account."""
        del context
        return self._usage.list_edits(request, key_of(current.get()))

    def SummarizeUsage(  # noqa: N802 -- protobuf's name
        self, request: pb.SummarizeUsageRequest, context: grpc.ServicerContext
    ) -> pb.SummarizeUsageResponse:
        """Sum up the edits of the key's account."""
        del context
        return self._usage.summarize(request, key_of(current.get()))

    def ConfirmDelivery(  # noqa: N802 -- protobuf's name
        self, request: pb.ConfirmDeliveryRequest, context: grpc.ServicerContext
    ) -> pb.ConfirmDeliveryResponse:
        """Note that the end client has the whole answer, or several."""
        del context
        edits = [request.edit_id, *request.more_edit_ids]
        if len(edits) > MAX_CONFIRMED + 1:
            problem = f"more_edit_ids: {MAX_CONFIRMED} are the most at once."
            raise EditError(Situation.BAD_REQUEST, problem, field="more_edit_ids")
        self._desk.idempotency.confirm(key_of(current.get()).account_id, *edits)
        return pb.ConfirmDeliveryResponse()


def key_of(call: Call) -> Key:
    """Return the key that the interceptor has checked."""
    if call.key is None:
        raise EditError(Situation.BUG, f"{call.method} ran without a key.")
    return call.key


def ticket_of(call: Call) -> Ticket:
    """Return what the call says of itself to the accounts."""
    return Ticket(key_of(call), call.request_id, call.idempotency_key, call.retry_count)
