"""What happens to an edit on its way, from the messages of `StreamEditImage`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from imageedit.client import answers
from imageedit.client.caller import request_id_of
from imageedit.client.errors import ImageEditError
from imageedit.v1 import image_edit_pb2 as pb


@dataclass(frozen=True, slots=True)
class Accepted:
    """The edit passed every check and goes to an upstream."""

    model: str


@dataclass(frozen=True, slots=True)
class Progress:
    """The edit is still under way, so many seconds after it was accepted."""

    elapsed_seconds: float


@dataclass(frozen=True, slots=True)
class Partial:
    """A whole preview, the `index`th from 0; the result may look different."""

    index: int
    picture: bytes = field(repr=False)
    mime_type: str
    width: int
    height: int


Event = Accepted | Progress | Partial | answers.Result


def events(call: Any) -> Iterator[Event]:
    """Yield what a call of `StreamEditImage` tells; the `Result` is the last.

    Raises `grpc.RpcError`, and `ImageEditError` for an answer that ends before its result.
    """
    facts: pb.EditImageResponse | None = None
    result, preview = bytearray(), bytearray()
    for message in call:
        match message.WhichOneof("event"):
            case "accepted":
                yield Accepted(message.accepted.model)
            case "progress":
                yield Progress(message.progress.elapsed_seconds)
            case "partial_image":
                piece = message.partial_image
                preview += piece.data
                if piece.complete:
                    shown, preview = bytes(preview), bytearray()
                    yield Partial(piece.index, shown, piece.mime_type, piece.width, piece.height)
            case "result":
                facts = message.result
            case "result_chunk":
                result += message.result_chunk.data
    request_id = request_id_of(call)
    if facts is None:
        raise ImageEditError("The answer has no result.", "unknown", request_id=request_id)
    replayed = dict(call.trailing_metadata() or ()).get("idempotent-replayed") == "true"
    yield answers.result(facts, bytes(result), request_id, replayed=replayed)
