"""One edit as a stream: the service's events in, server-sent events out as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import grpc

from gateway_http import errors, events
from gateway_http.asking import problem
from gateway_http.metadata import to_headers
from gateway_http.render import edit_headers
from gateway_http.upload import Edited, Running, received
from imageedit.v1.image_edit_pb2 import EditImageRequest, PartialImage

PATIENCE = 10.0
"""Seconds after which the headers go out though nothing was accepted: nobody waits in silence."""
HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
"""What keeps proxies from holding events back; nginx reads the second."""


class EventStream:
    """The body of a streamed answer, for WSGI to iterate and to close.

    `call` is the edit that `wanted` asked for. `arriving` is called with the edit's id before its
    picture is sent, `bug` with what nobody expected. `clock` gives Unix seconds. `closing` holds
    what else is to be closed at the end.
    """

    def __init__(
        self,
        call: Running,
        wanted: EditImageRequest,
        *,
        arriving: Callable[[str], None],
        bug: Callable[[Exception], None],
        clock: Callable[[], float],
    ) -> None:
        self._call = call
        self._wanted = wanted
        self._arriving = arriving
        self._bug = bug
        self._clock = clock
        self.closing = ExitStack()
        self._edited: Edited | None = None
        self._picture = bytearray()

    def open(self) -> dict[str, str]:
        """Wait until the edit was accepted, or is there; return the answer's headers.

        Until then nothing was sent, so a failure is raised as an HttpError.
        """
        try:
            for event in self._call:
                if event.HasField("result"):
                    self._edited = edited = received(event.result, self._call)
                    return HEADERS | edited.headers | edit_headers(edited.facts)
                if event.HasField("accepted") or event.progress.elapsed_seconds >= PATIENCE:
                    return HEADERS | to_headers(self._call.initial_metadata())
        except grpc.RpcError as error:
            raise problem(error) from None
        raise errors.bug()

    def __iter__(self) -> Iterator[bytes]:
        """Yield each event as soon as it is there, a comment while nothing happens."""
        try:
            if self._edited is None:
                yield events.COMMENT  # the headers go out with the first byte
                yield from self._under_way()
            if self._edited is None:
                raise errors.bug()  # noqa: TRY301 -- told as every other failure
            facts = self._edited.facts
            if facts.edit_id:
                self._arriving(facts.edit_id)
            replayed = "idempotent-replayed" in self._edited.headers
            picture, wanted = self._edited.picture, self._wanted
            yield events.completed(facts, picture, wanted=wanted, replayed=replayed)
        except errors.HttpError as failure:
            yield events.failed(failure)
        except grpc.RpcError as error:
            yield events.failed(problem(error))
        except Exception as error:  # noqa: BLE001 -- the headers are out: nothing else can tell
            self._bug(error)
            yield events.failed(errors.bug())

    def close(self) -> None:
        """End the call, if it has not ended, and what else is to be closed."""
        self._call.cancel()
        self.closing.close()

    def _under_way(self) -> Iterator[bytes]:
        for event in self._call:
            if event.HasField("result"):
                self._edited = received(event.result, self._call)
            elif event.HasField("partial_image"):
                yield from self._partial(event.partial_image)
            else:
                yield events.COMMENT

    def _partial(self, piece: PartialImage) -> Iterator[bytes]:
        self._picture += piece.data
        if piece.complete:
            picture, self._picture = bytes(self._picture), bytearray()
            now = int(self._clock())
            yield events.partial(piece, picture, created_at=now, wanted=self._wanted)
