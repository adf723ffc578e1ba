"""The caller of an edit as the editor sees it, and what its line in the log tells."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict

import grpc

from imageedit.v1 import image_edit_pb2 as pb
from server import messages
from server.calls import Call
from server.domain import EditResult, Picture
from server.tracing import spans
from server.upstream.caller import AttemptRecord, Caller

CHUNK_BYTES = 1_048_576


class ToldCaller(Caller):
    """What every caller has: `events` of the edit, and a line in the log, which is that of `call`.

    It waits `patience` seconds at the most.
    """

    cancels = False
    awaited = True
    """Whether somebody waits for the end."""

    def __init__(self, call: Call, patience: float) -> None:
        self._call = call
        self._patience = patience
        self._until = call.started + patience
        self.events: queue.SimpleQueue[pb.StreamEditImageResponse | None] = queue.SimpleQueue()

    def remaining(self) -> float:
        """Return the seconds until the edit's time is over."""
        return self._until - time.monotonic()

    def accepted(self, model: str) -> None:
        """Note that the edit passed every check, and tell a streaming caller."""
        self._call.facts["model"] = model
        self.events.put(pb.StreamEditImageResponse(accepted=pb.EditAccepted(model=model)))

    def attempted(self, record: AttemptRecord) -> None:
        """Note an attempt for the log, and in the attempt's span."""
        spans.note(route=f"{record.provider}:{record.model}", outcome=record.outcome)
        attempts = self._call.facts.setdefault("attempts", [])
        assert isinstance(attempts, list)  # noqa: S101 -- made in the line above
        attempts.append(asdict(record) | {"seconds": round(record.seconds, 3)})

    def finished(self, result: EditResult) -> None:
        """Note the result for the log."""
        self._call.facts |= {
            "edit_id": result.id,
            "replayed": result.replayed,
            "width": result.picture.width,
            "height": result.picture.height,
            "input_tokens": result.tokens.input,
            "output_tokens": result.tokens.output,
            "cost_nanos": result.cost_nanos,
            "mask_method": result.mask_report.method if result.mask_report else None,
            "ignored_parameters": list(result.ignored_parameters),
        }

    @contextmanager
    def carried(self) -> Iterator[None]:
        """Be around the whole edit, in the thread that carries it."""
        yield


class RpcCaller(ToldCaller):
    """The caller of an RPC, which ends when it leaves."""

    def __init__(self, context: grpc.ServicerContext, call: Call, patience: float) -> None:
        super().__init__(call, patience)
        self._context = context

    def remaining(self) -> float:
        """Return the seconds until the RPC's deadline, or ours where it has none or a later one."""
        seconds = self._context.time_remaining()
        ours = super().remaining()
        return ours if seconds is None else min(ours, seconds)

    def left(self) -> bool:
        """Tell whether the RPC is over: the caller cancelled, or its deadline passed."""
        return not self._context.is_active()

    def on_leave(self, callback: Callable[[], None]) -> None:
        """Have `callback` called when the RPC ends, at once if it has."""
        if not self._context.add_callback(callback):
            callback()

    def waits_for(self, edit_id: str) -> None:
        """Wait, whatever it is."""

    def partial(self, index: int, picture: Picture, *, transparent: bool) -> None:
        """Send a picture on its way to the result, in pieces."""
        for message in messages.partial_image(index, picture, transparent, CHUNK_BYTES):
            self.events.put(pb.StreamEditImageResponse(partial_image=message))
