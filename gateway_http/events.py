"""What happens to an edit as server-sent events, in OpenAI's words (contract, section 3).

Sources: `ImageEditPartialImageEvent` and `ImageEditCompletedEvent` of OpenAI's SDKs; the format is
the HTML standard's `text/event-stream`. Members that OpenAI does not have are ours.
"""

from __future__ import annotations

import orjson
import pybase64

from gateway_http import render
from gateway_http.errors import HttpError
from gateway_http.words import ENUMS, word
from imageedit.v1 import image_edit_pb2 as pb

COMMENT = b": still at work\n\n"
"""A line that every client skips; it keeps what stands between from cutting the connection."""


def partial(
    piece: pb.PartialImage, picture: bytes, *, created_at: int, wanted: pb.EditImageRequest
) -> bytes:
    """Return the event of an unfinished picture, whose last piece is `piece`.

    `created_at` is Unix seconds, and `wanted` the edit, whose quality is told.
    """
    return _event(
        "image_edit.partial_image",
        {
            "b64_json": pybase64.b64encode_as_string(picture),
            "partial_image_index": piece.index,
            "created_at": created_at,
            "size": f"{piece.width}x{piece.height}",
            "quality": word(ENUMS["quality"], wanted.quality, "auto"),
            "background": word(ENUMS["background"], piece.background, "auto"),
            "output_format": piece.mime_type.removeprefix("image/"),
        },
    )


def completed(
    facts: pb.EditImageResponse, picture: bytes, *, wanted: pb.EditImageRequest, replayed: bool
) -> bytes:
    """Return the event of the finished picture, with what a plain answer says in headers."""
    said: dict[str, object] = {}
    if wanted.user:
        said["safety_identifier"] = wanted.user
    said |= render.said(facts)
    if replayed:
        said["idempotent_replayed"] = True
    return _event(
        "image_edit.completed",
        {
            "b64_json": pybase64.b64encode_as_string(picture),
            "created_at": facts.create_time.seconds,
            "model": facts.model,
            **render.described(facts),
            **said,
        },
    )


def failed(problem: HttpError) -> bytes:
    """Return the event of a failure: the error object, and the status it would have had."""
    said: dict[str, object] = {"status": problem.status, **problem.document()}
    if (retry_after := problem.headers.get("Retry-After")) is not None:
        said["retry_after"] = int(retry_after)
    return _event("error", said)


def _event(kind: str, members: dict[str, object]) -> bytes:
    # JSON has no line breaks of its own, so one line of data holds it.
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), orjson.dumps({"type": kind, **members}))
