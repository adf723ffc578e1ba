"""SiliconFlow's image generation: JSON with data URLs out, a picture's URL back.

Sources: docs.siliconflow.com and docs.siliconflow.cn, images-generations, with their error schemas.
"""

from __future__ import annotations

from server.providers.base import (
    WAITING,
    Answer,
    Call,
    Delivery,
    Failure,
    FailureKind,
    RemoteImage,
    UpstreamEdit,
)
from server.providers.json_reading import code as numeric
from server.providers.json_reading import document, first, table, text
from server.providers.vendor_words import (
    detail,
    foreign,
    retry_after,
    speaks_of_gone_model,
    speaks_of_policy,
)

# Set here, or not taken by the models that edit, or one picture's business.
_RESERVED = frozenset({"model", "prompt", "mask", "response_format", "n", "batch_size", "stream"})
_NO_BALANCE, _WRONG_SITE, _MODEL_DISABLED = 30001, 30014, 30003
_OVERLOADED = frozenset({50505, 50508})
_TRACE = "x-siliconcloud-trace-id"


def build(edit: UpstreamEdit) -> Call:
    """Return the JSON for `edit`; `ValueError` for what cannot be sent: a mask, too many pictures.

    The pictures go into `edit.image_fields` in order.
    """
    if edit.mask is not None:
        raise ValueError("no model has a mask field")
    if len(edit.images) > len(edit.image_fields):
        raise ValueError(f"{len(edit.images)} pictures for the fields {edit.image_fields}")
    if reserved := (_RESERVED | set(edit.image_fields)) & edit.fields.keys():
        raise ValueError(f"a route must not set {sorted(reserved)}")
    # There may be fewer pictures than fields.
    pictures = zip(edit.image_fields, edit.images, strict=False)
    words = {"model": edit.model, "prompt": edit.prompt, **dict(pictures)}
    return Call("/images/generations", json={**words, **edit.fields})


def read(answer: Answer) -> Delivery | Failure:
    """Return where the picture of a 2xx answer is; without one it may be billed all the same."""
    body = table(document(answer.body))
    places = (table(first(body.get(key))).get("url") for key in ("images", "data"))
    url = next(filter(None, map(text, places)), "")
    if not url:
        said = detail(answer.status, "no picture's URL", answer.headers.get(_TRACE, ""))
        return Failure(FailureKind.UNKNOWN, said)
    return Delivery(RemoteImage(url))


def explain(answer: Answer) -> Failure:
    """Return what an answer other than 2xx means."""
    status = answer.status
    parsed = document(answer.body)
    body = table(parsed)
    message = text(body.get("message")) or _bare(answer, parsed)
    code = numeric(body.get("code"))
    # A bare string is how their gateway says 401, 404 and 504. Below 500 it turned us away; at 504
    # it gave up waiting while the model may be working, which may be billed: in whatever shape.
    own_shape = bool(message) and (bool(body) or status in {401, 402, 403, 404, 429})
    gave_up = status in {408, 504}
    refused_content = status == 451 or speaks_of_policy(message)
    gone = code == _MODEL_DISABLED or speaks_of_gone_model(message)
    rules = (
        (status == 451, FailureKind.REFUSED),
        (status == 404 and not gone, FailureKind.MISCONFIGURED),
        (not own_shape or gave_up, FailureKind.UNKNOWN),
        (status in {401, 402} or code in {_NO_BALANCE, _WRONG_SITE}, FailureKind.MISCONFIGURED),
        (400 <= status < 500 and refused_content, FailureKind.REFUSED),
        (status in {400, 403, 404} and gone, FailureKind.MODEL_GONE),
        (status == 403, FailureKind.MISCONFIGURED),
        (status == 429, FailureKind.LIMITED),
        (status == 503 or code in _OVERLOADED, FailureKind.BUSY),
        (status >= 500, FailureKind.FAILED),
        (status >= 400, FailureKind.REFUSED),
    )
    meaning = next((meaning for holds, meaning in rules if holds), FailureKind.UNKNOWN)
    said = detail(status, str(code or ""), message, answer.headers.get(_TRACE, ""))
    return Failure(
        meaning,
        said if message else foreign(answer),
        moderation=meaning is FailureKind.REFUSED and refused_content,
        retry_after=retry_after(answer.headers) if meaning in WAITING else None,
    )


def _bare(answer: Answer, parsed: object) -> str:
    """Return a body that is a JSON string or plain text; empty for a page or another type."""
    if parsed is not None:
        return text(parsed)
    plain = answer.body.decode("utf-8", "replace").strip()
    return "" if plain.startswith(("<", "{", "[")) else plain
