"""A route's circuit breaker: after faults in a row, no edit waits for a vendor that is down."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from enum import Enum

FAULTS = 5
FIRST_PAUSE, LONGEST_PAUSE = 30.0, 300.0
JITTER = 0.2
# What is told while the one probe is under way, which may take minutes.
PROBE_RETRY_AFTER = 10.0
_LEAST_RETRY_AFTER, _MOST_RETRY_AFTER = 1.0, 60.0


class Verdict(Enum):
    """What an attempt says of its upstream."""

    GOOD = "a picture"
    FAULT = "a fault of the upstream"
    NEITHER = "nothing: the caller's own refusal, limit, deadline or cancel"


class CircuitOpen(Exception):
    """The route takes no attempt now. `retry_after` is in seconds, 1 to 60."""

    def __init__(self, seconds: float) -> None:
        self.retry_after = min(max(seconds, _LEAST_RETRY_AFTER), _MOST_RETRY_AFTER)
        super().__init__(f"the circuit is open, for {seconds:.0f} s at the least")


class Breaker:
    """Closed, until `faults` attempts in a row end in a fault; then open, then one probe at a time.

    It stays open 30 seconds at first, 30 more each time that a probe fails, 300 at the most, and up
    to a fifth longer, so that many instances don't probe together. `faults` of 0: it never opens.
    `clock` returns seconds, `chance` a number from 0 to 1. Shared by all threads.
    """

    def __init__(
        self,
        faults: int = FAULTS,
        *,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._limit = faults
        self._clock = clock
        self._chance = chance
        self._lock = threading.Lock()
        self._in_a_row = 0
        self._openings = 0
        self._until: float | None = None
        self._probing = False
        # Attempts that began before the last change of state have no say any more.
        self._era = 0

    @property
    def state(self) -> str:
        """Return "closed", "open" or "half_open"."""
        with self._lock:
            if self._until is None:
                return "closed"
            return "open" if self._clock() < self._until else "half_open"

    def enter(self) -> Passage:
        """Let one attempt pass, whose end must be told; raises `CircuitOpen`."""
        with self._lock:
            if self._until is not None:
                wait = self._until - self._clock()
                if wait > 0:
                    raise CircuitOpen(wait)
                if self._probing:
                    raise CircuitOpen(PROBE_RETRY_AFTER)
                self._probing = True
            return Passage(self, self._era)

    def judge(self, era: int, verdict: Verdict) -> None:
        """Hear how an attempt of `era` ended; `Passage.end` calls this."""
        with self._lock:
            if era != self._era:
                return
            self._probing = False
            if verdict is Verdict.GOOD:
                self._close()
            elif verdict is Verdict.FAULT:
                self._in_a_row += 1
                if self._until is not None or self._in_a_row == self._limit:
                    self._open()

    def _close(self) -> None:
        if self._until is not None:
            self._era += 1
        self._in_a_row = self._openings = 0
        self._until = None

    def _open(self) -> None:
        self._era += 1
        self._openings += 1
        pause = self._openings * FIRST_PAUSE * (1 + JITTER * self._chance())
        self._until = self._clock() + min(pause, LONGEST_PAUSE)


class Passage:
    """An attempt's way through a breaker."""

    def __init__(self, breaker: Breaker, era: int) -> None:
        self._breaker = breaker
        self._era = era

    def end(self, verdict: Verdict) -> None:
        """Tell how the attempt ended, once; a probe's place is free again."""
        self._breaker.judge(self._era, verdict)
