"""The service's messages become OpenAI's JSON and our headers (contract, section 1)."""

from __future__ import annotations

from collections.abc import Sequence

import orjson
import pybase64

from gateway_http.words import ENUMS, word
from imageedit.v1 import image_edit_pb2 as pb

JOB = "image_edit.job"
POLL_AFTER = 2
"""Seconds after which to look again at a job that is under way."""
_NANOS = 1_000_000_000


def edit(facts: pb.EditImageResponse, picture: bytes) -> list[bytes]:
    """Return the JSON document of an edit in pieces: the picture's megabytes are not copied."""
    before = orjson.dumps({"created": facts.create_time.seconds, "model": facts.model})
    after = orjson.dumps(described(facts))
    return [
        before[:-1] + b',"data":[{"b64_json":"',
        pybase64.b64encode(picture),
        b'"}],' + after[1:],
    ]


def described(facts: pb.EditImageResponse) -> dict[str, object]:
    """Return what an answer says of its picture and its cost, whole or as an event."""
    usage = facts.usage
    return {
        "size": f"{facts.width}x{facts.height}",
        "output_format": word(ENUMS["output_format"], facts.output_format, "png"),
        "quality": word(ENUMS["quality"], facts.quality, "auto"),
        "background": word(ENUMS["background"], facts.background, "auto"),
        "usage": {
            "prompt_tokens": usage.input_tokens,
            "completion_tokens": usage.output_tokens,
            "total_tokens": usage.input_tokens + usage.output_tokens,
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "input_tokens_details": {
                "text_tokens": usage.input_text_tokens,
                "image_tokens": usage.input_image_tokens,
            },
            "cost": _number(usage.cost_nanos),
        },
    }


def edit_headers(facts: pb.EditImageResponse) -> dict[str, str]:
    """Return the headers that tell how the edit was done."""
    headers = {}
    if facts.ignored_parameters:
        headers["x-ignored-parameters"] = ", ".join(facts.ignored_parameters)
    if facts.HasField("mask_report"):
        headers["x-mask-method"] = mask_method(facts.mask_report)
        headers["x-mask-drift"] = f"{facts.mask_report.drift:.4f}"
    return headers


def said(facts: pb.EditImageResponse) -> dict[str, object]:
    """Return what `edit_headers` tells as members of a document."""
    members: dict[str, object] = {}
    if facts.ignored_parameters:
        members["ignored_parameters"] = list(facts.ignored_parameters)
    if facts.HasField("mask_report"):
        members["mask_method"] = mask_method(facts.mask_report)
        members["mask_drift"] = round(facts.mask_report.drift, 4)
    return members


def job(operation: pb.Operation) -> dict[str, object]:
    """Return what is told of a job, but for its error."""
    about, path = operation.metadata, job_url(operation)
    members: dict[str, object] = {
        "id": operation.name,
        "object": JOB,
        "status": word(pb.OperationState.DESCRIPTOR, about.state, "in_progress"),
        "created_at": about.create_time.seconds,
        "model": about.model,
        "polling_url": path,
    }
    if not operation.done:
        members["poll_after"] = POLL_AFTER
    else:
        members["completed_at"] = about.end_time.seconds
        members["expires_at"] = about.expire_time.seconds
    if about.cancel_requested:
        members["cancel_requested"] = True
    if operation.HasField("response"):
        facts = operation.response
        members |= {**described(facts), **said(facts), "content_url": f"{path}/content"}
    return members


def job_url(operation: pb.Operation) -> str:
    """Return where a job is, as a path: what is in front of us may go by any name."""
    return f"/v1/jobs/{operation.name}"


def mask_method(report: pb.MaskReport) -> str:
    """Return how a mask was used, such as "native" or "second_image;unaligned"."""
    method = word(pb.MaskMethod.DESCRIPTOR, report.method, "unknown")
    return f"{method};unaligned" if report.unaligned else method


def balance(found: pb.GetCreditsResponse) -> bytes:
    """Return the JSON document of an account's credits."""
    return orjson.dumps(
        {
            "object": "credits",
            "balance": _number(found.balance_nanos),
            "held": _number(found.held_nanos),
            "spent": _number(found.spent_nanos),
        }
    )


def estimate(answer: pb.EstimateCostResponse) -> bytes:
    """Return the JSON document of an estimate."""
    most = _number(answer.max_cost_nanos)
    return orjson.dumps({"object": "cost_estimate", "model": answer.model, "max_cost": most})


def models(listed: Sequence[pb.Model]) -> bytes:
    """Return OpenAI's list of models."""
    return orjson.dumps({"object": "list", "data": [_entry(model) for model in listed]})


def model(one: pb.Model) -> bytes:
    """Return the JSON document of one model."""
    return orjson.dumps(_entry(one))


def dollars(nanos: int) -> str:
    """Return nano-dollars as dollars in exact decimal notation, such as "0.227592"."""
    whole, rest = divmod(abs(nanos), _NANOS)
    fraction = f".{rest:09}".rstrip("0") if rest else ""
    return f"{'-' if nanos < 0 else ''}{whole}{fraction}"


def _number(nanos: int) -> orjson.Fragment:
    """Return nano-dollars as a JSON number of dollars, exact where a float would round."""
    return orjson.Fragment(dollars(nanos).encode())


def _entry(model: pb.Model) -> dict[str, object]:
    taken, made = list(model.input_modalities), list(model.output_modalities)
    return {
        "id": model.id,
        "object": "model",
        "created": model.create_time.seconds,
        "owned_by": model.owned_by,
        "name": model.name,
        "description": model.description,
        "architecture": {
            "modality": f"{'+'.join(taken)}->{'+'.join(made)}",
            "input_modalities": taken,
            "output_modalities": made,
            "features": list(model.features),
        },
        "capabilities": list(model.features),
        "pricing": dict(sorted(model.pricing.items())),
        "supported_parameters": list(model.supported_parameters),
        "max_input_images": model.max_input_images,
        "expiration_date": model.expiration_date or None,
    }
