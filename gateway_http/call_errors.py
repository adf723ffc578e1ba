"""What a failed call of the service means over HTTP."""

from __future__ import annotations

from typing import TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from gateway_http.errors import REASONS, HttpError, bug, busy, gone, of_reason

DOMAIN = "imageedit.v1"

# These say that the connection was never made, so nothing can have been paid.
_NEVER_SENT = (
    "connections to all backends failing",
    "failed to connect to all addresses",
    "errors resolving ",
    "DNS resolution failed",
    "no healthy upstream",  # Envoy's own
)

Detail = TypeVar("Detail", bound=Message)


def from_call(error: grpc.RpcError) -> HttpError:
    """Return the answer for a call that failed; never raises."""
    assert isinstance(error, grpc.Call)  # noqa: S101 - grpc raises nothing else from a stub
    found = _read(error)
    found.from_service = not _never_sent(error)
    return found


def _read(error: grpc.Call) -> HttpError:
    status = _status(error)
    info = _detail(status, ErrorInfo())
    if info is None or info.domain != DOMAIN or info.reason not in REASONS:
        return _undescribed(error)
    retry = _detail(status, RetryInfo())
    delay = None if retry is None else retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
    http = REASONS[info.reason][0]
    if info.reason == "INVALID_REQUEST_ERROR" and "limit" in info.metadata:
        http = 413
    elif info.reason == "UPSTREAM_ERROR" and error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        http = 504
    elif info.reason == "UPSTREAM_ERROR" and delay is not None:
        http = 503
    bad = _detail(status, BadRequest())
    param = bad.field_violations[0].field if bad and bad.field_violations else None
    return of_reason(info.reason, http, status.message, delay, param or None)


def _never_sent(error: grpc.Call) -> bool:
    unavailable = error.code() is grpc.StatusCode.UNAVAILABLE
    return unavailable and (error.details() or "").startswith(_NEVER_SENT)


def _undescribed(error: grpc.Call) -> HttpError:
    """Return the answer for an error that gRPC itself made; its texts hold addresses."""
    code, details = error.code(), error.details() or ""
    if code is grpc.StatusCode.UNAVAILABLE:
        if _never_sent(error):
            return busy("The image service cannot be reached; try again in a moment.")
        # It broke off in the middle: an upstream may have been paid, so this is no invitation.
        return of_reason("UPSTREAM_ERROR", 502, "The image service broke off.", None)
    if code is grpc.StatusCode.CANCELLED:
        return gone()  # nobody but ourselves cancels, for a client that hung up
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return of_reason("UPSTREAM_ERROR", 504, "The edit took longer than it may.", None)
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and "received message larger" in details.lower():
        return of_reason("INVALID_REQUEST_ERROR", 413, "The request is too large.", None)
    return bug()


def _status(error: grpc.Call) -> Status:
    try:
        return rpc_status.from_call(error) or Status()
    except (ValueError, DecodeError):  # details that do not fit the call's own code and message
        return Status()


def _detail(status: Status, kind: Detail) -> Detail | None:
    for packed in status.details:
        if packed.Is(kind.DESCRIPTOR):
            try:
                packed.Unpack(kind)
            except DecodeError:
                return None
            return kind
    return None
