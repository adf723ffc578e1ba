"""How many requests of a key may wait for an edit that is under way, or carry its picture."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from server.accounts.keys import Key
from server.domain import EditError, Situation


class Waiting:
    """Counts the requests that wait, by key: each costs something, so concurrency bounds it too."""

    def __init__(self) -> None:
        self._waiting: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def place(self, key: Key) -> Iterator[None]:
        """Be counted inside the block; raises `EditError` (LIMITED) over the key's concurrency."""
        with self._lock:
            if self._waiting[key.id] >= key.concurrency:
                raise EditError(
                    Situation.LIMITED,
                    f"This key may have {key.concurrency} requests waiting at a time.",
                    retry_after=5,
                )
            self._waiting[key.id] += 1
        try:
            yield
        finally:
            with self._lock:
                self._waiting[key.id] -= 1
                if not self._waiting[key.id]:
                    del self._waiting[key.id]
