"""What a call that failed tells: `google.rpc.Status` with its details, as one exception."""

from __future__ import annotations

from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

# What the transport says by itself, where the service said nothing.
_OWN = {
    grpc.StatusCode.UNAVAILABLE: "unavailable",
    grpc.StatusCode.DEADLINE_EXCEEDED: "deadline_exceeded",
    grpc.StatusCode.CANCELLED: "cancelled",
}


class ImageEditError(Exception):
    """A call that failed; its text is the service's message.

    `code` is the contract's, in lower case: "invalid_api_key", "invalid_request_error",
    "model_capability_mismatch", "permission_denied", "insufficient_credits",
    "idempotency_key_reused", "not_found", "rate_limit_exceeded", "upstream_error",
    "internal_error"; "cancelled" for a job that ended on its caller's wish; or, where the service
    was not heard, "unavailable" (no connection), "deadline_exceeded", "cancelled", "unknown".
    `field` is the parameter at fault. `retry_after`, in seconds, is there exactly when a repeat is
    safe and may help. `request_id` is what the service's log has for this call.
    """

    def __init__(
        self,
        message: str,
        code: str,
        *,
        status: grpc.StatusCode = grpc.StatusCode.UNKNOWN,
        field: str | None = None,
        retry_after: float | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.status = status
        self.field = field
        self.retry_after = retry_after
        self.request_id = request_id


def error_of(call: Any) -> ImageEditError:
    """Return the exception for a call that failed: a `grpc.RpcError` that is a `grpc.Call`."""
    status = call.code() or grpc.StatusCode.UNKNOWN
    request_id = dict(call.initial_metadata() or ()).get("x-request-id")
    rich = _rich(call)
    if rich is None:
        code, message = _OWN.get(status, "unknown"), call.details() or status.name
        return ImageEditError(message, code, status=status, request_id=request_id)
    info = _detail(rich, error_details_pb2.ErrorInfo())
    bad = _detail(rich, error_details_pb2.BadRequest())
    retry = _detail(rich, error_details_pb2.RetryInfo())
    return ImageEditError(
        rich.message,
        info.reason.lower() if info else _OWN.get(status, "unknown"),
        status=status,
        field=bad.field_violations[0].field if bad and bad.field_violations else None,
        retry_after=retry.retry_delay.ToTimedelta().total_seconds() if retry else None,
        request_id=request_id,
    )


def _rich(call: Any) -> status_pb2.Status | None:
    try:
        return rpc_status.from_call(call)
    except ValueError:  # a proxy put its own code beside the service's details
        return None


def _detail(status: status_pb2.Status, kind: Any) -> Any:
    """Return the detail of this kind; `None` where there is none."""
    return next((kind for packed in status.details if packed.Unpack(kind)), None)
