"""What OpenRouter answers when it refuses or fails (its page on errors)."""

from __future__ import annotations

import json
from collections.abc import Mapping

from sandbox.wire import Reply


def error(status: int, message: str, metadata: object = None, **headers: str) -> Reply:
    """Return an error in OpenRouter's shape: the code is the status, as a number."""
    body: dict[str, object] = {"code": status, "message": message}
    if metadata is not None:
        body["metadata"] = metadata
    return Reply.of(status, {"error": body}, **headers)


def zod(expected: str, path: list[object], received: object) -> Reply:
    """Return the answer of OpenRouter's schema check."""
    issue = {"code": "invalid_type", "expected": expected, "path": path}
    issue["message"] = f"Invalid input: expected {expected}, received {type(received).__name__}"
    body = {"success": False, "error": {"name": "ZodError", "message": json.dumps([issue])}}
    return Reply.of(400, body)


def failures() -> Mapping[str, Reply]:
    """Return the answers of the faults by name."""
    provider = {"provider_name": "OpenAI"}
    flagged = {"reasons": ["violence"], "flagged_input": "…", **provider}
    return {
        "error400": error(400, "Provider returned error", {**provider, "raw": "Invalid value"}),
        "moderation": error(403, "Input was flagged by moderation.", flagged),
        "error401": error(401, "No cookie auth credentials found"),
        "quota": error(402, "Insufficient credits", {"limit_source": "openrouter_credits"}),
        "error429": error(
            429, "Rate limit exceeded", {"error_type": "rate_limit_exceeded"}, retry_after="7"
        ),
        "error500": error(500, "Internal Server Error"),
        "error503": error(503, "No provider is available", {"error_type": "provider_unavailable"}),
        "gone": error(404, "No endpoints found for openai/gpt-image-2."),
        "error_in_200": Reply.of(
            200,
            {"error": {"code": 502, "message": "Provider returned error", "metadata": provider}},
        ),
    }
