"""One thread that calls back at given times: the clock of every attempt's time box."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable
from math import inf

_log = logging.getLogger(__name__)
_FEW = 64  # tickets, which may lie there cancelled


class Ticket:
    """A callback that is due at some time, until it is cancelled."""

    __slots__ = ("_callback",)

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback: Callable[[], None] | None = callback

    @property
    def cancelled(self) -> bool:
        """Whether the callback is forgotten."""
        return self._callback is None

    def cancel(self) -> None:
        """Forget the callback. One that is running already is not waited for."""
        self._callback = None

    def fire(self) -> None:
        """Run the callback, unless it was cancelled."""
        callback = self._callback
        if callback is not None:
            callback()


class Watchdog:
    """Calls back at monotonic times, all from one daemon thread.

    A `threading.Timer` would be a thread for each attempt, alive for minutes. Callbacks must be
    quick: a slow one makes the others late. Nearly all tickets are cancelled, so the thread does
    not wake for those, and they are swept out when they are many.
    """

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Ticket]] = []
        self._sweep_at = _FEW
        self._wakes_at = inf
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
        self._thread.start()

    def at(self, when: float, callback: Callable[[], None]) -> Ticket:
        """Call `callback` at `when`, in seconds of `time.monotonic`; at once if that is past.

        Raises RuntimeError after `close`.
        """
        ticket = Ticket(callback)
        with self._changed:
            if self._closed:
                raise RuntimeError("the watchdog is closed")
            if len(self._due) >= self._sweep_at:
                self._due = [row for row in self._due if not row[2].cancelled]
                heapq.heapify(self._due)
                self._sweep_at = 2 * len(self._due) + _FEW
            heapq.heappush(self._due, (when, next(self._order), ticket))
            if when < self._wakes_at:
                self._changed.notify()
        return ticket

    def close(self) -> None:
        """Stop the thread; what is not due yet is never called."""
        with self._changed:
            self._closed = True
            self._due.clear()
            self._changed.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(self) -> None:
        while (ticket := self._next()) is not None:
            try:
                ticket.fire()
            except Exception:  # noqa: BLE001 -- one broken callback must not stop every clock
                _log.exception("a watchdog callback failed")

    def _next(self) -> Ticket | None:
        with self._changed:
            while not self._closed:
                while self._due and self._due[0][2].cancelled:
                    heapq.heappop(self._due)
                self._wakes_at = self._due[0][0] if self._due else inf
                wait = self._wakes_at - time.monotonic()
                if wait <= 0:
                    return heapq.heappop(self._due)[2]
                self._changed.wait(min(wait, threading.TIMEOUT_MAX))
        return None
