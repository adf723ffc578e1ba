"""Operations as messages."""

from __future__ import annotations

from imageedit.v1 import image_edit_pb2 as pb
from server import messages
from server.accounts.operations import Operation
from server.domain import EditError
from server.status import CODES, reason_name


def operation_message(operation: Operation) -> pb.Operation:
    """Return what a caller sees of an operation."""
    message = pb.Operation(
        name=operation.id,
        metadata=pb.OperationMetadata(
            state=pb.OperationState.Value(f"OPERATION_STATE_{operation.state.name}"),
            model=operation.model,
            create_time=messages.timestamp(operation.created),
            cancel_requested=operation.cancel_requested,
        ),
        done=operation.ended is not None,
    )
    if operation.ended is not None:
        message.metadata.end_time.CopyFrom(messages.timestamp(operation.ended))
    if operation.expires is not None:
        message.metadata.expire_time.CopyFrom(messages.timestamp(operation.expires))
    if operation.result is not None:
        facts = messages.edit_response(operation.result, with_picture=False)
        message.response.CopyFrom(facts)
    if operation.error is not None:
        message.error.CopyFrom(_error(operation.error))
    return message


def _error(error: EditError) -> pb.OperationError:
    code: int = CODES[error.situation][0].value[0]
    return pb.OperationError(
        code=code,
        reason=reason_name(error.situation),
        message=error.message,
        field=error.field or "",
    )
