"""OpenRouter's image endpoint: JSON with data URLs out, a picture in base64 back.

Sources: OpenRouter's image generation guide, error reference and OpenAPI document. Its billing is
all or nothing: an edit without a picture is not billed, so no failure here is `UNKNOWN` but a 2xx
answer that cannot be read.
"""

from __future__ import annotations

from collections.abc import Mapping

from server.domain import Tokens
from server.providers.base import (
    WAITING,
    Answer,
    Call,
    Delivery,
    Failure,
    FailureKind,
    UpstreamEdit,
)
from server.providers.base64_pictures import decoded
from server.providers.json_reading import code as numeric
from server.providers.json_reading import count, document, first, table, text
from server.providers.vendor_words import (
    caller_field,
    detail,
    foreign,
    retry_after,
    speaks_of_gone_model,
    speaks_of_policy,
)

# Set here, or not in the endpoint's schema (mask, response_format), or one picture's business.
_RESERVED = frozenset(
    {"model", "prompt", "input_references", "mask", "response_format", "n", "stream"}
)
_POLICY = frozenset({"content_policy_violation", "refusal"})
_LIMITED, _OVERLOADED = "rate_limit_exceeded", "provider_overloaded"
_IN_FLIGHT = frozenset({"openrouter_in_flight_budget", "in_flight_budget_exhausted"})
_BAD_IMAGE = frozenset(
    {"invalid_image", "image_too_large", "image_too_small", "unsupported_image_format"}
)


def build(edit: UpstreamEdit) -> Call:
    """Return the JSON for `edit`; `ValueError` for a mask or a field that cannot be sent."""
    if edit.mask is not None:
        raise ValueError("the endpoint has no mask field")
    if reserved := _RESERVED & edit.fields.keys():
        raise ValueError(f"a route must not set {sorted(reserved)}")
    references = [{"type": "image_url", "image_url": {"url": each}} for each in edit.images]
    words = {"model": edit.model, "prompt": edit.prompt, "input_references": references}
    streaming = {"stream": True} if edit.partial_images else {}
    return Call("/images", json={**words, **edit.fields, **streaming})


def read(answer: Answer) -> Delivery | Failure:
    """Return the picture of a 2xx answer, or the failure that it holds instead."""
    body = table(document(answer.body))
    facts = body if answer.streamed else table(first(body.get("data")))
    picture = decoded(facts.get("b64_json"))
    if picture is None and (body.get("error") or body.get("type") == "error"):
        return explain(answer)
    if picture is None:
        return Failure(FailureKind.UNKNOWN, detail(answer.status, "no readable picture"))
    usage = table(body.get("usage"))
    inputs = table(usage.get("prompt_tokens_details") or usage.get("input_tokens_details"))
    tokens = Tokens(
        input=count(usage.get("prompt_tokens")) or count(usage.get("input_tokens")),
        input_text=count(inputs.get("text_tokens")),
        input_image=count(inputs.get("image_tokens")),
        output=count(usage.get("completion_tokens")) or count(usage.get("output_tokens")),
    )
    return Delivery(picture, tokens)


def explain(answer: Answer) -> Failure:
    """Return what an answer other than 2xx means, or an error inside a 2xx answer."""
    body = table(document(answer.body))
    error = table(body.get("error")) or {"message": text(body.get("error"))}
    message = text(error.get("message"))
    number = numeric(error.get("code"))
    if not (message or number):
        # A missing path is our setting; any other page, their proxy's or Cloudflare's, is unbilled.
        missing = FailureKind.MISCONFIGURED if answer.status == 404 else FailureKind.FAILED
        return Failure(missing, foreign(answer))
    # Once work has begun, the error comes inside HTTP 200 and only its code is the status.
    status = answer.status if answer.status >= 400 else number
    metadata = table(error.get("metadata"))
    named = text(metadata.get("error_type"))
    relayed = _relayed(metadata)
    words = " ".join((message, *(text(relayed.get(key)) for key in ("code", "message"))))
    # Their credit is reserved for edits under way, and free again when those end.
    limits = {text(metadata.get(key)) for key in ("limit_source", "reason")}
    in_flight = bool(limits & _IN_FLIGHT)
    flagged = bool(metadata.get("reasons") or metadata.get("flagged_input"))
    refused_content = named in _POLICY or flagged or speaks_of_policy(words)
    rules = (
        (in_flight, FailureKind.LIMITED),
        (status in {401, 402}, FailureKind.MISCONFIGURED),
        (refused_content, FailureKind.REFUSED),
        (status == 403, FailureKind.MISCONFIGURED),
        (status in {400, 404} and speaks_of_gone_model(message), FailureKind.MODEL_GONE),
        (status == 404, FailureKind.MISCONFIGURED),
        (status == 429 or named == _LIMITED, FailureKind.LIMITED),
        (status in {503, 529} or named == _OVERLOADED, FailureKind.BUSY),
        (status in {400, 413, 422} or named in _BAD_IMAGE, FailureKind.REFUSED),
    )
    meaning = next((meaning for holds, meaning in rules if holds), FailureKind.FAILED)
    refused = meaning is FailureKind.REFUSED
    bad_image = named in _BAD_IMAGE or status == 413
    field = "image" if bad_image else caller_field(_param(message, relayed))
    return Failure(
        meaning,
        detail(answer.status, str(number) if number and answer.status < 400 else "", named, words),
        field=field if refused and not refused_content else None,
        moderation=refused and refused_content,
        retry_after=_wait(answer, error) if meaning in WAITING else None,
    )


def _relayed(metadata: Mapping[str, object]) -> Mapping[str, object]:
    """Return the error of the provider behind OpenRouter, relayed as JSON, as text or not."""
    raw = metadata.get("raw")
    holder = table(document(raw)) if isinstance(raw, str) else table(raw)
    return table(holder.get("error")) or {"message": "" if holder else text(raw)}


def _param(message: str, relayed: Mapping[str, object]) -> str:
    """Return the field at fault: the relayed error's, or the first in a Zod error's own JSON."""
    path = table(first(document(message))).get("path")
    return text(relayed.get("param")) or text(first(path))


def _wait(answer: Answer, error: Mapping[str, object]) -> float | None:
    """Return the seconds to wait, by header or else by the error's own words."""
    said = count(table(error.get("availability")).get("retry_after"))
    asked = retry_after(answer.headers)
    return asked if asked is not None else float(said) or None
