"""Errors: the service's become HTTP status, headers and OpenAI's error JSON; one table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeVar

import grpc
import orjson
from google.protobuf.message import DecodeError, Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

DOMAIN = "imageedit.v1"
MAX_RETRY_AFTER = 60
"""Seconds; OpenAI's SDKs ignore longer waits or give up on them."""

Detail = TypeVar("Detail", bound=Message)

REASONS: dict[str, tuple[int, str, str]] = {
    "UNSPECIFIED": (500, "api_error", "internal_error"),
    "INVALID_API_KEY": (401, "invalid_request_error", "invalid_api_key"),
    "INVALID_REQUEST_ERROR": (400, "invalid_request_error", "invalid_request_error"),
    "MODEL_CAPABILITY_MISMATCH": (400, "invalid_request_error", "model_capability_mismatch"),
    "PERMISSION_DENIED": (403, "invalid_request_error", "permission_denied"),
    "INSUFFICIENT_CREDITS": (402, "billing_error", "insufficient_credits"),
    "IDEMPOTENCY_KEY_REUSED": (422, "invalid_request_error", "idempotency_key_reused"),
    "RATE_LIMIT_EXCEEDED": (429, "rate_limit_error", "rate_limit_exceeded"),
    "UPSTREAM_ERROR": (502, "upstream_error", "upstream_error"),
    "INTERNAL_ERROR": (500, "api_error", "internal_error"),
    "NOT_FOUND": (404, "invalid_request_error", "not_found"),
}
"""HTTP status, type and code by ErrorReason, without its prefix (contract, section 1)."""

NEVER = {"x-should-retry": "false"}
"""Where a repeat could pay twice or cannot help; OpenAI's SDKs obey it."""

# These say that the connection was never made, so nothing can have been paid.
_NEVER_SENT = (
    "connections to all backends failing",
    "failed to connect to all addresses",
    "errors resolving ",
    "DNS resolution failed",
    "no healthy upstream",  # Envoy's own
)


class HttpError(Exception):
    """An error answer: `status`, the four members of the JSON, and `headers`.

    `from_service` tells that the service was asked.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        code: str,
        message: str,
        *,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.code = code
        self.message = message
        self.param = param
        self.headers = dict(headers or {})
        self.from_service = False

    def body(self) -> bytes:
        """Return the JSON document."""
        return orjson.dumps(self.document())

    def document(self) -> dict[str, object]:
        """Return what the JSON document says."""
        return {
            "error": {
                "message": self.message,
                "type": self.kind,
                "param": self.param,
                "code": self.code,
            }
        }


def refused(status: int, message: str, param: str | None = None) -> HttpError:
    """Return the error for a request that cannot be read, or that no route takes."""
    codes = {404: "unknown_url", 405: "method_not_allowed"}
    return HttpError(
        status,
        "invalid_request_error",
        codes.get(status, "invalid_request_error"),
        message,
        param=param,
        # The same request is refused again, unless it was only too slow.
        headers={} if status == 408 else NEVER,
    )


def busy(message: str, retry_after: float = 1.0) -> HttpError:
    """Return the 503 for a request of which nothing was begun; `retry_after` is in seconds."""
    return _problem("UPSTREAM_ERROR", 503, message, retry_after)


def gone() -> HttpError:
    """Return the answer to a client that hung up, by gRPC's own number for a cancelled call."""
    return refused(499, "The connection was ended before the answer.")


def described(reason: str, message: str, param: str | None) -> HttpError:
    """Return the error of a call that was made for an earlier request, by its ErrorReason."""
    known = reason if reason in REASONS else "UNSPECIFIED"
    return _problem(known, REASONS[known][0], message, None, param)


def bug() -> HttpError:
    """Return the bare 500 for a failure of our own."""
    message = "The gateway failed; the request id tells us where."
    return _problem("INTERNAL_ERROR", 500, message, None)


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
    return _problem(info.reason, http, status.message, delay, param or None)


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
        return _problem("UPSTREAM_ERROR", 502, "The image service broke off.", None)
    if code is grpc.StatusCode.CANCELLED:
        return gone()  # nobody but ourselves cancels, for a client that hung up
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return _problem("UPSTREAM_ERROR", 504, "The edit took longer than it may.", None)
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and "received message larger" in details.lower():
        return _problem("INVALID_REQUEST_ERROR", 413, "The request is too large.", None)
    return bug()


def _problem(
    reason: str, status: int, message: str, delay: float | None, param: str | None = None
) -> HttpError:
    headers = {}
    if status in {429, 503}:
        seconds = MAX_RETRY_AFTER if delay is None else math.ceil(delay)
        headers["Retry-After"] = str(min(max(seconds, 1), MAX_RETRY_AFTER))
    may_help = status in {429, 503} and delay is not None and delay <= MAX_RETRY_AFTER
    if not may_help:
        headers |= NEVER
    _, kind, code = REASONS[reason]
    return HttpError(status, kind, code, message, param=param, headers=headers)


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
