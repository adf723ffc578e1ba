"""Telling the service which answers arrived: several at a time, to spare calls.

What is gathered when the program is killed is lost: the service then takes answers for undelivered
that nobody will ask for again.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from threading import Lock, Timer

import grpc

from gateway_http.metadata import Metadata
from imageedit.v1.image_edit_pb2 import ConfirmDeliveryRequest
from imageedit.v1.image_edit_pb2_grpc import ImageEditStub

GATHERED = 0.1
"""Seconds for which answers are gathered: SDKs wait a multiple of that before they repeat."""
TIMEOUT = 2.0
CARRIED = ("x-request-id", "authorization", "traceparent")
MOST = 1_000
"""Further edits in one call, as the contract says."""


class Confirmations:
    """Gathers for `seconds`, and asks `images` for the stub to tell it to. Used by all threads."""

    def __init__(self, images: Callable[[], ImageEditStub], seconds: float = GATHERED) -> None:
        self._images = images
        self._seconds = seconds
        self._lock = Lock()
        self._gathered: dict[str, tuple[Metadata, list[str]]] = {}
        self._timer: Timer | None = None

    def add(self, metadata: Metadata, edit_id: str) -> None:
        """Note that the answer of an edit arrived, whose call had `metadata`; never fails."""
        said = tuple(pair for pair in metadata if pair[0] in CARRIED)
        key = dict(said).get("authorization", "")
        with self._lock:
            self._gathered.setdefault(key, (said, []))[1].append(edit_id)
            if self._timer is None:
                timer = Timer(self._seconds, self.tell)
                timer.daemon = True
                with suppress(RuntimeError):  # no thread is to be had: the next one tells
                    timer.start()
                    self._timer = timer

    def tell(self) -> None:
        """Tell all that was gathered; waits for the service, but not for long."""
        with self._lock:
            gathered, self._gathered, self._timer = self._gathered, {}, None
        for metadata, edits in gathered.values():
            for start in range(0, len(edits), MOST):
                first, *more = edits[start : start + MOST]
                request = ConfirmDeliveryRequest(edit_id=first, more_edit_ids=more)
                with suppress(grpc.RpcError, ValueError):  # ValueError: the channel is closed
                    self._images().ConfirmDelivery(request, timeout=TIMEOUT, metadata=metadata)
