"""What OpenAI answers when it refuses or fails (its error guide, and answers seen by users)."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from sandbox.wire import Reply

NO_KEY = (
    "You didn't provide an API key. You need to provide your API key in an Authorization header "
    "using Bearer auth (i.e. Authorization: Bearer YOUR_KEY)."
)


def error(
    status: int,
    message: str,
    code: str | None = None,
    param: str | None = None,
    kind: str = "invalid_request_error",
    **headers: str,
) -> Reply:
    """Return an error in OpenAI's shape."""
    body = {"error": {"message": message, "type": kind, "param": param, "code": code}}
    return Reply.of(status, body, x_request_id=f"req_{secrets.token_hex(16)}", **headers)


def bad_mask(problem: str) -> Reply:
    """Return the refusal of a mask."""
    message = f"Invalid mask image format - {problem}"
    return error(400, message, "invalid_mask_image_format", "mask", "image_generation_user_error")


def duplicate(name: str) -> Reply:
    """Return the refusal of a single field that comes twice."""
    message = (
        f"Duplicate parameter: '{name}'. You provided multiple values for this parameter, whereas "
        "only one is allowed. If you are trying to provide a list of values, use the array syntax "
        f"instead e.g. '{name}[]=<value>'."
    )
    return error(400, message, "duplicate_parameter", name)


def failures() -> Mapping[str, Reply]:
    """Return the answers of the faults by name."""
    user, server = "image_generation_user_error", "server_error"
    blocked = "Your request was rejected by the safety system."
    return {
        "error400": error(400, "Invalid value: 'sandbox'.", "invalid_value", "size"),
        "moderation": error(400, blocked, "moderation_blocked", None, user),
        "error401": error(401, "Incorrect API key provided: sandbox.", "invalid_api_key"),
        "quota": error(
            429,
            "You exceeded your current quota.",
            "insufficient_quota",
            None,
            "insufficient_quota",
        ),
        "error429": error(
            429, "Rate limit reached.", "rate_limit_exceeded", None, "requests", retry_after="7"
        ),
        "error500": error(500, "The server had an error.", server, None, server),
        "error503": error(
            503, "Overloaded.", "server_is_overloaded", None, "service_unavailable_error"
        ),
        "gone": error(404, "The model does not exist.", "model_not_found", "model"),
    }
