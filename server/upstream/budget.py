"""A route's retry budget: of the edits that ask it, a fifth at the most asks it once more."""

from __future__ import annotations

import threading

RATIO = 5  # edits for each repeated try
ADVANCE = 10


class RetryBudget:
    """Counts what edits earn and repeated tries spend. Shared by all threads.

    The first `advance` tries are lent, so that a fresh or quiet gateway can repeat too, and the
    first edits pay them back: of n edits, repeated tries are `advance` or n / `ratio`, whichever is
    more, at any pace. What is left over is kept up to `advance`. Nothing expires, so there is no
    clock.
    """

    def __init__(self, ratio: int = RATIO, advance: int = ADVANCE) -> None:
        self._lock = threading.Lock()
        # In parts of a try: an edit earns one, a try costs `ratio`. Whole numbers don't drift.
        self._price = ratio
        self._most = self._left = self._debt = advance * ratio

    def earn(self) -> None:
        """Note an edit."""
        with self._lock:
            if self._debt:
                self._debt -= 1
            else:
                self._left = min(self._left + 1, self._most)

    def spend(self) -> bool:
        """Take one repeated try; `False`, and nothing taken, where there is none left."""
        with self._lock:
            if self._left < self._price:
                return False
            self._left -= self._price
            return True
