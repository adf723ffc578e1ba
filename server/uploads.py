"""Receives a streamed edit: the parameters first, then the pictures' chunks, in a time box."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from imageedit.v1 import image_edit_pb2 as pb
from server.admission import Load, full
from server.domain import EditError, EditRequest, Situation
from server.messages import edit_request
from server.patience import Patience
from server.spool import Spool

MAX_UPLOAD_BYTES = 100_000_000
MAX_CHUNK_BYTES = 1_048_576
MAX_CHUNKS = 100_000
MAX_IMAGES = 64  # far above what any model takes, so that the complaint can name the model's number

Message = pb.StreamEditImageRequest | pb.StartEditImageRequest
"""They differ in name alone."""


class Upload:
    """One upload: collected by one thread, its time watched by another."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._began = self._heard = time.monotonic()
        self.whole = False

    def check_time(self) -> None:
        """Raise `EditError` (BAD_REQUEST) if it takes too long, since no read can be timed out."""
        now = time.monotonic()
        if self.whole:
            return
        if now - self._heard > self._patience.chunk:
            raise _bad(
                "data",
                f"stopped arriving: nothing came for {self._patience.chunk:g} seconds, and the end"
                " of the pictures is told by closing the sending side",
            )
        if now - self._began > self._patience.upload:
            raise _bad("data", f"took over {self._patience.upload:g} seconds to arrive")

    def collect(
        self, requests: Iterator[Message], left: Callable[[], bool], load: Load
    ) -> EditRequest:
        """Return the edit; raises `EditError` (BAD_REQUEST, TOO_LARGE) for anything out of order.

        `left` tells whether the caller is gone: the messages then end as if all had come. `load`
        counts the pictures' bytes, and raises where there is no room for more.
        """
        first = next(requests, None)
        if first is None or first.WhichOneof("payload") != "parameters":
            raise _bad("parameters", "must be the first message")
        parameters = first.parameters
        if parameters.images or parameters.HasField("mask"):
            raise _bad("parameters", "must not hold pictures; they follow in chunks")
        images: list[Spool] = []
        mask: Spool | None = None
        for count, request in enumerate(requests):
            self._heard = time.monotonic()
            match request.WhichOneof("payload"):
                case "image_chunk":
                    data = request.image_chunk.data
                    spool = _at(images, request.image_chunk.index)
                case "mask_chunk":
                    if request.mask_chunk.index:
                        raise _bad("index", "of a mask chunk must be 0; there is one mask")
                    data = request.mask_chunk.data
                    spool = mask = mask or Spool()
                case _:
                    raise _bad("parameters", "came twice; only chunks may follow")
            _check_sizes(count, len(data), load.size + len(data))
            load.add(len(data))
            try:
                spool.write(data)
            except OSError:
                raise full("has no disk left for pictures") from None
        if left():
            raise EditError(Situation.CANCELLED, "The caller left before the upload was done.")
        self.whole = True
        files = [spool.file() for spool in images]
        return edit_request(parameters, files, mask.file() if mask else None)


def _at(images: list[Spool], index: int) -> Spool:
    """Return where the next chunk of picture `index` goes: the last picture, or a new one."""
    if index == len(images) and index < MAX_IMAGES:
        images.append(Spool())
    if not images or index != len(images) - 1:
        raise _bad("index", f"of an image chunk is {index}; pictures come one after the other")
    return images[index]


def _check_sizes(count: int, size: int, total: int) -> None:
    if count >= MAX_CHUNKS:
        raise _bad("data", f"comes in over {MAX_CHUNKS} chunks; send up to 1 MiB in each")
    if size > MAX_CHUNK_BYTES:
        raise _bad("data", f"of a chunk is over {MAX_CHUNK_BYTES} bytes")
    if total > MAX_UPLOAD_BYTES:
        raise EditError(
            Situation.TOO_LARGE,
            f"The pictures are over {MAX_UPLOAD_BYTES} bytes together.",
            field="image",
            limit=f"{MAX_UPLOAD_BYTES} bytes",
        )


def _bad(field: str, problem: str) -> EditError:
    return EditError(Situation.BAD_REQUEST, f"{field} {problem}.", field=field)
