"""The moving window in memory: exact whatever the threads do, and on an injected clock.

The library's own `MemoryStorage` reads the wall clock, tidies up in a thread that may drop a hit
made at the same moment, and walks through every name it ever saw each time it does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import Lock

from limits.storage import MemoryStorage


class MovingWindowMemory(MemoryStorage):
    """The hits of each name, the oldest first. `clock` returns milliseconds."""

    def __init__(self, clock: Callable[[], int]) -> None:
        super().__init__()
        self._clock = clock
        self._lock = Lock()
        self._hits: dict[str, deque[int]] = {}
        self._tidied = clock()

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count `amount` hits of `key` unless that makes more than `limit` in `expiry` seconds."""
        with self._lock:
            now = self._clock()
            self._tidy(now, expiry)
            hits = self._hits.setdefault(key, deque())
            _forget(hits, now - expiry * 1000)
            if len(hits) + amount > limit:
                return False
            hits.extend([now] * amount)
            return True

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """Return when the oldest hit of `key` that counts was made, in seconds, and how many do."""
        del limit
        with self._lock:
            now = self._clock()
            hits = self._hits.get(key, deque())
            _forget(hits, now - expiry * 1000)
            return (hits[0] if hits else now) / 1000, len(hits)

    def _tidy(self, now: int, expiry: int) -> None:
        """Forget, once a window, the names that have been quiet since; users come and go."""
        if now - self._tidied < expiry * 1000:
            return
        self._tidied = now
        for key, hits in list(self._hits.items()):
            _forget(hits, now - expiry * 1000)
            if not hits:
                del self._hits[key]


def _forget(hits: deque[int], until: int) -> None:
    while hits and hits[0] <= until:
        hits.popleft()
