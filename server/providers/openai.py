"""OpenAI's image edits: a multipart form out, a picture in base64 back.

Sources: openai-openapi (`CreateImageEditRequest`, `ImagesResponse`) and OpenAI's error guide.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from server.domain import Picture, Tokens
from server.providers.base import (
    WAITING,
    Answer,
    Call,
    Delivery,
    Failure,
    FailureKind,
    FilePart,
    TextPart,
    UpstreamEdit,
)
from server.providers.base64_pictures import decoded
from server.providers.json_reading import count, document, first, items, table, text
from server.providers.vendor_words import (
    caller_field,
    detail,
    foreign,
    retry_after,
    speaks_of_gone_model,
    speaks_of_policy,
)

# Set here, or not taken by the GPT image models (response_format), or one picture's business.
_RESERVED = frozenset(
    {"model", "prompt", "image", "image[]", "mask", "n", "stream", "partial_images"}
    | {"response_format"}
)
_OUT_OF_MONEY = frozenset(
    {
        "insufficient_quota",
        "credit_balance_exhausted",
        "organization_usage_limit_exceeded",
        "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded",
        "billing_not_active",
        "billing_hard_limit_reached",
    }
)
_POLICY = frozenset({"moderation_blocked", "content_policy_violation", "contentFilter"})
_OVERLOADED = frozenset({"server_is_overloaded", "slow_down"})
# By an error's code, else its type. Any other may be billed, as an unknown 200 may.
_STATUSES = {
    "rate_limit_exceeded": 429,
    "invalid_api_key": 401,
    "model_not_found": 404,
    "server_error": 500,
    "service_unavailable_error": 503,
    "invalid_request_error": 400,
    "image_generation_user_error": 400,
}


def build(edit: UpstreamEdit) -> Call:
    """Return the form for `edit`; `ValueError` for a field that is not the route's to set."""
    if reserved := _RESERVED & edit.fields.keys():
        raise ValueError(f"a route must not set {sorted(reserved)}")
    name = "image" if len(edit.images) == 1 else "image[]"
    pictures = [
        _file(name, "image" if number == 1 else f"image-{number}", picture)
        for number, picture in enumerate(edit.images, start=1)
    ]
    masks = [] if edit.mask is None else [_file("mask", "mask", edit.mask)]
    words = {"model": edit.model, "prompt": edit.prompt, **edit.fields}
    if edit.partial_images:
        words |= {"stream": "true", "partial_images": edit.partial_images}
    fields = [TextPart(field, str(value)) for field, value in words.items()]
    return Call("/images/edits", parts=(*fields, *pictures, *masks))


def read(answer: Answer) -> Delivery | Failure:
    """Return the picture of a 2xx answer; without one it may be billed all the same."""
    body = table(document(answer.body))
    if answer.streamed and (error := _event_error(body)):
        return explain(replace(answer, status=_status(error)))
    facts = body if answer.streamed else table(first(body.get("data")))
    picture = decoded(facts.get("b64_json"))
    if picture is None:
        said = detail(answer.status, "no readable picture", answer.headers.get("x-request-id", ""))
        return Failure(FailureKind.UNKNOWN, said)
    usage = table(body.get("usage"))
    inputs = table(usage.get("input_tokens_details"))
    tokens = Tokens(
        input=count(usage.get("input_tokens")),
        input_text=count(inputs.get("text_tokens")),
        input_image=count(inputs.get("image_tokens")),
        output=count(usage.get("output_tokens")),
    )
    return Delivery(picture, tokens, quality=text(body.get("quality")) or None)


def explain(answer: Answer) -> Failure:
    """Return what an answer other than 2xx means."""
    status = answer.status
    error = _error(answer)
    kind, code, param, message = (
        text(error.get(key)) for key in ("type", "code", "param", "message")
    )
    if not (kind or code or message):
        # A missing path began nothing. Any other page may be a proxy's, while the model works on.
        missing = FailureKind.MISCONFIGURED if status == 404 else FailureKind.UNKNOWN
        return Failure(missing, foreign(answer))
    refused_content = code in _POLICY or speaks_of_policy(message)
    gone = param == "model" or code == "model_not_found" or speaks_of_gone_model(message)
    rules = (
        (status in {401, 402} or bool({kind, code} & _OUT_OF_MONEY), FailureKind.MISCONFIGURED),
        (400 <= status < 500 and refused_content, FailureKind.REFUSED),
        (status == 403, FailureKind.MISCONFIGURED),
        (status in {400, 404} and gone, FailureKind.MODEL_GONE),
        (status == 404, FailureKind.MISCONFIGURED),
        (status == 429, FailureKind.LIMITED),
        (status == 503 or code in _OVERLOADED, FailureKind.BUSY),
        (status in {408, 409} or status >= 500, FailureKind.FAILED),
        (status >= 400, FailureKind.REFUSED),
    )
    meaning = next((meaning for holds, meaning in rules if holds), FailureKind.UNKNOWN)
    refused = meaning is FailureKind.REFUSED
    trace = answer.headers.get("x-request-id", "")
    return Failure(
        meaning,
        detail(status, kind, code, message, trace),
        field=_field(status, param, code) if refused and not refused_content else None,
        moderation=refused and refused_content,
        retry_after=retry_after(answer.headers) if meaning in WAITING else None,
    )


def _file(name: str, stem: str, picture: Picture) -> FilePart:
    """Return a file part with a real type and ending: OpenAI refuses application/octet-stream."""
    return FilePart(name, f"{stem}.{picture.extension}", picture.mime_type, picture.file)


def _error(answer: Answer) -> Mapping[str, object]:
    """Return the error in OpenAI's shape, empty where there is none."""
    body = table(document(answer.body))
    if answer.streamed:
        return _event_error(body)
    if "error" in body or "detail" not in body or answer.status >= 500:
        return table(body.get("error"))
    # FastAPI's shape: servers that speak OpenAI's API, such as vLLM-Omni and SGLang.
    problem = table(first(body["detail"]))
    place = [text(step) for step in items(problem.get("loc"))]
    said = text(body["detail"]) or text(problem.get("msg"))
    return {"message": said, "param": place[-1] if place else ""}


def _event_error(body: Mapping[str, object]) -> Mapping[str, object]:
    """Return the error of a stream's last event, empty where it is none."""
    return table(body.get("error")) or (body if body.get("type") == "error" else {})


def _status(error: Mapping[str, object]) -> int:
    """Return the status that an error would have had, had it come before the stream began."""
    return _STATUSES.get(text(error.get("code"))) or _STATUSES.get(text(error.get("type"))) or 200


def _field(status: int, param: str, code: str) -> str | None:
    """Return the caller's field at fault: the parameter, or what the code or the size tells."""
    named = next((name for name in ("mask", "image") if name in code), None)
    return caller_field(param) or named or ("image" if status == 413 else None)
