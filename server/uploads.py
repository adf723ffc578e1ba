"""Collects the messages of a streamed edit: the parameters first, then the pictures' chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from imageedit.v1 import image_edit_pb2 as pb
from server.domain import EditError, EditRequest, Situation
from server.messages import edit_request

MAX_UPLOAD_BYTES = 100_000_000
MAX_CHUNK_BYTES = 1_048_576
MAX_CHUNKS = 100_000
MAX_IMAGES = 64  # far above what any model takes, so that the complaint can name the model's number


def collect(requests: Iterator[pb.StreamEditImageRequest], left: Callable[[], bool]) -> EditRequest:
    """Return the edit; raises `EditError` (BAD_REQUEST, TOO_LARGE) for anything out of order.

    `left` tells whether the caller is gone: the messages then end as if all had come.
    """
    first = next(requests, None)
    if first is None or first.WhichOneof("payload") != "parameters":
        raise _bad("parameters", "must be the first message")
    parameters = first.parameters
    if parameters.images or parameters.HasField("mask"):
        raise _bad("parameters", "must not hold pictures; they follow in chunks")
    images: list[list[bytes]] = []
    mask: list[bytes] = []
    total = 0
    for count, request in enumerate(requests):
        match request.WhichOneof("payload"):
            case "image_chunk":
                data = request.image_chunk.data
                _pieces(images, request.image_chunk.index).append(data)
            case "mask_chunk":
                if request.mask_chunk.index:
                    raise _bad("index", "of a mask chunk must be 0; there is one mask")
                data = request.mask_chunk.data
                mask.append(data)
            case _:
                raise _bad("parameters", "came twice; only chunks may follow")
        total += len(data)
        if count >= MAX_CHUNKS:
            raise _bad("data", f"comes in over {MAX_CHUNKS} chunks; send up to 1 MiB in each")
        if len(data) > MAX_CHUNK_BYTES:
            raise _bad("data", f"of a chunk is over {MAX_CHUNK_BYTES} bytes")
        if total > MAX_UPLOAD_BYTES:
            raise EditError(
                Situation.TOO_LARGE,
                f"The pictures are over {MAX_UPLOAD_BYTES} bytes together.",
                field="image",
                limit=f"{MAX_UPLOAD_BYTES} bytes",
            )
    if left():
        raise EditError(Situation.CANCELLED, "The caller left before the upload was done.")
    files = []
    while images:
        files.append(b"".join(images.pop(0)))
    return edit_request(parameters, files, b"".join(mask) if mask else None)


def _pieces(images: list[list[bytes]], index: int) -> list[bytes]:
    """Return where the next chunk of picture `index` goes: the last picture, or a new one."""
    if index == len(images) and index < MAX_IMAGES:
        images.append([])
    if not images or index != len(images) - 1:
        raise _bad("index", f"of an image chunk is {index}; pictures come one after the other")
    return images[index]


def _bad(field: str, problem: str) -> EditError:
    return EditError(Situation.BAD_REQUEST, f"{field} {problem}.", field=field)
