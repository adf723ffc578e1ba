"""Admission: how many edits are held at once, and the end of taking any more."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from server.domain import EditError, Situation

RETRY_AFTER = 5.0


class Admission:
    """A cap on held edits; over it, and while draining, an edit is refused at once."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._held = 0
        self._answering = 0
        self._draining = False
        self._changed = threading.Condition()

    @property
    def held(self) -> int:
        """How many edits are held now."""
        return self._held

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place for one edit; raises `EditError` (UPSTREAM_BUSY) when there is none."""
        with self._changed:
            if self._draining or self._held >= self.capacity:
                reason = "is shutting down" if self._draining else "holds as many edits as it can"
                raise EditError(
                    Situation.UPSTREAM_BUSY,
                    f"This gateway {reason}; try again in a moment.",
                    retry_after=RETRY_AFTER,
                )
            self._held += 1
        try:
            yield
        finally:
            with self._changed:
                self._held -= 1
                self._changed.notify_all()

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Count a call from its beginning to the last byte of its answer, for draining."""
        with self._changed:
            self._answering += 1
        try:
            yield
        finally:
            with self._changed:
                self._answering -= 1
                self._changed.notify_all()

    def drain(self, timeout: float, last_bytes: float = 0.0) -> bool:
        """Refuse new edits and wait up to `timeout` seconds; tell whether none is held any more.

        Then wait up to `last_bytes` seconds for callers that are still taking their answers.
        """
        with self._changed:
            self._draining = True
            done = self._changed.wait_for(lambda: self._held == 0, timeout)
            self._changed.wait_for(lambda: self._answering == 0, last_bytes)
            return done
