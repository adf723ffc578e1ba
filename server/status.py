"""Turns an `EditError` into the `google.rpc.Status` of the contract's error table."""

from __future__ import annotations

import math
from dataclasses import dataclass

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from imageedit.v1.error_reason_pb2 import ErrorReason
from server.domain import EditError, Situation

DOMAIN = "imageedit.v1"
DETAILS_KEY = "grpc-status-details-bin"
# Details over 8 KiB replace the error itself; messages are ours and short, this is the last net.
MAX_MESSAGE_BYTES = 1_500

CODES: dict[Situation, tuple[grpc.StatusCode, ErrorReason.ValueType]] = {
    Situation.INVALID_KEY: (
        grpc.StatusCode.UNAUTHENTICATED,
        ErrorReason.ERROR_REASON_INVALID_API_KEY,
    ),
    Situation.BAD_REQUEST: (
        grpc.StatusCode.INVALID_ARGUMENT,
        ErrorReason.ERROR_REASON_INVALID_REQUEST_ERROR,
    ),
    Situation.TOO_LARGE: (
        grpc.StatusCode.INVALID_ARGUMENT,
        ErrorReason.ERROR_REASON_INVALID_REQUEST_ERROR,
    ),
    Situation.MODEL_MISMATCH: (
        grpc.StatusCode.FAILED_PRECONDITION,
        ErrorReason.ERROR_REASON_MODEL_CAPABILITY_MISMATCH,
    ),
    Situation.FORBIDDEN: (
        grpc.StatusCode.PERMISSION_DENIED,
        ErrorReason.ERROR_REASON_PERMISSION_DENIED,
    ),
    Situation.NO_CREDIT: (
        grpc.StatusCode.FAILED_PRECONDITION,
        ErrorReason.ERROR_REASON_INSUFFICIENT_CREDITS,
    ),
    Situation.IDEMPOTENCY_REUSED: (
        grpc.StatusCode.ABORTED,
        ErrorReason.ERROR_REASON_IDEMPOTENCY_KEY_REUSED,
    ),
    Situation.LIMITED: (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        ErrorReason.ERROR_REASON_RATE_LIMIT_EXCEEDED,
    ),
    Situation.UPSTREAM_FAILED: (
        grpc.StatusCode.UNAVAILABLE,
        ErrorReason.ERROR_REASON_UPSTREAM_ERROR,
    ),
    Situation.UPSTREAM_BUSY: (
        grpc.StatusCode.UNAVAILABLE,
        ErrorReason.ERROR_REASON_UPSTREAM_ERROR,
    ),
    Situation.UPSTREAM_TIMEOUT: (
        grpc.StatusCode.DEADLINE_EXCEEDED,
        ErrorReason.ERROR_REASON_UPSTREAM_ERROR,
    ),
    Situation.CANCELLED: (grpc.StatusCode.CANCELLED, ErrorReason.ERROR_REASON_UPSTREAM_ERROR),
    Situation.NOT_FOUND: (grpc.StatusCode.NOT_FOUND, ErrorReason.ERROR_REASON_NOT_FOUND),
    Situation.BUG: (grpc.StatusCode.INTERNAL, ErrorReason.ERROR_REASON_INTERNAL_ERROR),
}


def reason_name(situation: Situation) -> str:
    """Return the reason as it travels: the code of the error table in upper case."""
    return ErrorReason.Name(CODES[situation][1]).removeprefix("ERROR_REASON_")


@dataclass(frozen=True, slots=True)
class _Status(grpc.Status):
    """What `context.abort_with_status` takes; aborting drops what was set as trailing before."""

    code: grpc.StatusCode
    details: str
    trailing_metadata: tuple[tuple[str, str | bytes], ...]


def to_status(error: EditError, *, replayed: bool = False) -> grpc.Status:
    """Return what `context.abort_with_status` takes; `replayed`: it is an original's error."""
    code, _ = CODES[error.situation]
    number: int = code.value[0]
    metadata = {"limit": error.limit} if error.limit else {}
    details: list[Message] = [
        error_details_pb2.ErrorInfo(
            reason=reason_name(error.situation), domain=DOMAIN, metadata=metadata
        )
    ]
    message = error.message.encode()[:MAX_MESSAGE_BYTES].decode(errors="ignore")
    if error.field:
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=error.field, description=message
        )
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    if error.retry_after is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.seconds = math.ceil(error.retry_after)
        details.append(retry)
    packed = [any_pb2.Any() for _ in details]
    for target, detail in zip(packed, details, strict=True):
        target.Pack(detail)
    packed_status = status_pb2.Status(code=number, message=message, details=packed)
    trailing: list[tuple[str, str | bytes]] = [(DETAILS_KEY, packed_status.SerializeToString())]
    if replayed:
        trailing.append(("idempotent-replayed", "true"))
    return _Status(code, message, tuple(trailing))
