"""Errors: HTTP status, headers and OpenAI's error JSON, by one table."""

from __future__ import annotations

import math
from collections.abc import Mapping

import orjson

MAX_RETRY_AFTER = 60
"""Seconds; OpenAI's SDKs ignore longer waits or give up on them."""

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
    return of_reason("UPSTREAM_ERROR", 503, message, retry_after)


def gone() -> HttpError:
    """Return the answer to a client that hung up, by gRPC's own number for a cancelled call."""
    return refused(499, "The connection was ended before the answer.")


def described(reason: str, message: str, param: str | None) -> HttpError:
    """Return the error of a call that was made for an earlier request, by its ErrorReason."""
    known = reason if reason in REASONS else "UNSPECIFIED"
    return of_reason(known, REASONS[known][0], message, None, param)


def bug() -> HttpError:
    """Return the bare 500 for a failure of our own."""
    message = "The gateway failed; the request id tells us where."
    return of_reason("INTERNAL_ERROR", 500, message, None)


def of_reason(
    reason: str, status: int, message: str, delay: float | None, param: str | None = None
) -> HttpError:
    """Return the error of an ErrorReason, without its prefix, as an answer of `status`.

    `delay` is after how many seconds a repeat may help, None where it is not said to.
    """
    headers = {}
    if status in {429, 503}:
        seconds = MAX_RETRY_AFTER if delay is None else math.ceil(delay)
        headers["Retry-After"] = str(min(max(seconds, 1), MAX_RETRY_AFTER))
    may_help = status in {429, 503} and delay is not None and delay <= MAX_RETRY_AFTER
    if not may_help:
        headers |= NEVER
    _, kind, code = REASONS[reason]
    return HttpError(status, kind, code, message, param=param, headers=headers)
