"""One call, as both of its ends see it."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from threading import Condition, Lock
from typing import Any

import grpc

AHEAD = 4
"""Answers that may wait for a caller who does not take them; a service that has more waits, too."""

Metadata = tuple[tuple[str, str | bytes], ...]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Status:
    """How a call ended."""

    code: grpc.StatusCode
    details: str
    trailing: Metadata


class Rpc:
    """A call with `metadata` that may take `timeout` seconds, `None` for any time.

    Nothing watches its deadline: the caller waits until then at the most, and cuts it.
    """

    def __init__(
        self, metadata: Iterable[tuple[str, str | bytes]] | None, timeout: float | None
    ) -> None:
        self.metadata: Metadata = tuple(metadata or ())
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._lock = Lock()
        # Apart, so that the metadata of each call do not wake who waits for its answer.
        self._begun, self._changed = Condition(self._lock), Condition(self._lock)
        self._initial: Metadata | None = None
        self._status: Status | None = None
        self._answers: deque[Any] = deque()
        self._when_over: list[Callable[[], None]] = []

    def remaining(self) -> float | None:
        """Return the seconds that are left, not below 0; `None` without a deadline."""
        return None if self._deadline is None else max(0.0, self._deadline - time.monotonic())

    def is_active(self) -> bool:
        """Tell whether it goes on."""
        if self._status is None and self.remaining() == 0:
            self._expire()
        return self._status is None

    def when_over(self, callback: Callable[[], None]) -> bool:
        """Have `callback` called at the end; False where that has passed."""
        with self._lock:
            if self._status is not None:
                return False
            self._when_over.append(callback)
        return True

    def begin(self, initial: Metadata) -> None:
        """Send what comes before the first answer."""
        with self._lock:
            if self._initial is None:
                self._initial = initial
                self._begun.notify_all()

    def give(self, answer: Any) -> bool:
        """Send one answer of several, and tell whether the call goes on."""
        self._wait(self._changed, lambda: len(self._answers) < AHEAD)
        with self._lock:
            if self._status is None:
                self._answers.append(answer)
                self._changed.notify_all()
        return self.is_active()

    def end(self, status: Status, *last: Any) -> None:
        """End it with `status` after a `last` answer; nothing if it has ended."""
        self._end(status, lambda: self._answers.extend(last))

    def cut(self, code: grpc.StatusCode, details: str) -> bool:
        """End it at the caller's side, who wants no answer any more; False if it has ended."""
        return self._end(Status(code, details, ()), self._answers.clear)

    def take(self) -> tuple[Any, ...]:
        """Return the next answer, once it is there, as a tuple of one; an empty one at the end."""
        self._wait(self._changed, lambda: bool(self._answers))
        with self._lock:
            if not self._answers:
                return ()
            self._changed.notify_all()
            return (self._answers.popleft(),)

    def initial(self) -> Metadata:
        """Return what came before the first answer, once it is there."""
        self._wait(self._begun, lambda: self._initial is not None)
        return self._initial or ()

    def ended(self) -> Status | None:
        """Return how it ended, if it has."""
        return self._status

    def status(self) -> Status:
        """Return how it ended, once it has."""
        while self._status is None:
            self._wait(self._changed, lambda: False)
        return self._status

    def _wait(self, condition: Condition, there: Callable[[], bool]) -> None:
        """Wait until it is `there`, or for the end, which comes by the deadline."""
        with self._lock:
            if condition.wait_for(
                lambda: there() or self._status is not None, timeout=self.remaining()
            ):
                return
        self._expire()

    def _expire(self) -> None:
        self.cut(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")

    def _end(self, status: Status, leave: Callable[[], None]) -> bool:
        with self._lock:
            if self._status is not None:
                return False
            leave()
            self._status = status
            callbacks, self._when_over = self._when_over, []
            self._begun.notify_all()
            self._changed.notify_all()
        for callback in callbacks:
            try:
                callback()
            except Exception:  # noqa: BLE001 -- a caller behind a socket would not hear of it either
                _log.exception("a callback at the end of a call failed")
        return True
