"""Admission: how much is held at once, of edits, uploads and bytes, and the end of taking more."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from server.domain import EditError, Situation
from server.fair_share import FairShare

RETRY_AFTER = 5.0


class Admission:
    """Caps on held edits, on uploads being received and on pictures' bytes; each fair between keys.

    Over a cap, and while draining, what asks is refused at once: nothing ever waits here. There are
    as many uploads as edits, apart from them, so that stalled ones leave room for the others, and
    as many calls that wait for an edit to end.
    Bytes are shared by the same rule as places: a few edits of 100 MB need no more places than
    small ones, and would shut out every other key.
    """

    def __init__(self, capacity: int, max_bytes: int) -> None:
        self._edits = FairShare(capacity)
        self._uploads = FairShare(capacity)
        self._waits = FairShare(capacity)
        self._bytes = FairShare(max_bytes)
        self._answering = 0
        self._draining = False
        self._changed = threading.Condition()

    @property
    def held(self) -> int:
        """How many edits are held now."""
        return self._edits.held

    @property
    def capacity(self) -> int:
        """How many edits can be held at the most."""
        return self._edits.capacity

    @property
    def receiving(self) -> int:
        """How many uploads are being received now."""
        return self._uploads.held

    @property
    def bytes_in_flight(self) -> int:
        """How many bytes of pictures callers have here: being received, or part of an edit."""
        return self._bytes.held

    @property
    def draining(self) -> bool:
        """Whether no more edits are taken."""
        return self._draining

    def check(self, key: str) -> None:
        """Raise `EditError` (UPSTREAM_BUSY) if an edit of `key` would be refused now."""
        with self._changed:
            if self._draining:
                raise leaving()
            if not self._edits.has(key):
                raise full("holds as many edits as it can")

    @contextmanager
    def place(self, key: str) -> Iterator[None]:
        """Hold a place for one edit; raises `EditError` (UPSTREAM_BUSY) when there is none."""
        with self._taken(self._edits, key, "holds as many edits as it can"):
            yield

    @contextmanager
    def upload(self, key: str) -> Iterator[None]:
        """Hold a place for an upload while it arrives; raises `EditError` (UPSTREAM_BUSY)."""
        with self._taken(self._uploads, key, "receives as many pictures as it can"):
            yield

    @contextmanager
    def wait(self, key: str) -> Iterator[None]:
        """Hold a place for a call that waits for an edit, or carries a finished one's picture.

        Raises `EditError` (UPSTREAM_BUSY) when there is none. A drain refuses no such call.
        """
        with self._taken(self._waits, key, "has as many callers as it can", drained=True):
            yield

    @contextmanager
    def load(self, key: str) -> Iterator[Load]:
        """Yield where the bytes of one edit's pictures are counted; they are free at the end."""
        load = Load(self, key)
        try:
            yield load
        finally:
            with self._changed:
                self._bytes.give(key, load.size)

    def _add(self, key: str, size: int) -> None:
        with self._changed:
            if not self._bytes.take(key, size):
                raise full("has as many pictures as it can hold")

    @contextmanager
    def _taken(
        self, share: FairShare, key: str, problem: str, *, drained: bool = False
    ) -> Iterator[None]:
        """Hold a place of `share` for `key`; `drained`: also while draining."""
        with self._changed:
            if self._draining and not drained:
                raise leaving()
            if not share.take(key):
                raise full(problem)
        try:
            yield
        finally:
            with self._changed:
                share.give(key)
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
            done = self._changed.wait_for(lambda: self.held == 0, timeout)
            self._changed.wait_for(lambda: self._answering == 0, last_bytes)
            return done


class Load:
    """The bytes of one edit's pictures, as far as they are known; `size` is their sum."""

    def __init__(self, admission: Admission, key: str) -> None:
        self._admission = admission
        self._key = key
        self.size = 0

    def add(self, size: int) -> None:
        """Count `size` more bytes; raises `EditError` (UPSTREAM_BUSY) where there is no room."""
        self._admission._add(self._key, size)
        self.size += size


def leaving() -> EditError:
    """Return the refusal of a service that is on its way out."""
    return full("is shutting down")


def full(problem: str) -> EditError:
    """Return the refusal of a service that has `problem`."""
    return EditError(
        Situation.UPSTREAM_BUSY,
        f"This gateway {problem}; try again in a moment.",
        retry_after=RETRY_AFTER,
    )
