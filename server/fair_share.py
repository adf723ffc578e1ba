"""What is scarce, shared by keys: none can take all of it, and each finds some."""

from __future__ import annotations

from collections import Counter

KEPT = 20
"""One part of so many is kept for keys that have less than an equal share."""


class FairShare:
    """So many places, or bytes, and who holds how much of them. Not safe for threads by itself.

    The last twentieth (at least 1, where there are 2) goes only to keys that hold less than an
    equal share: the capacity by the number of keys that hold something, the asker included, and
    never fewer than two, since another may come at any moment. A lone key can thus use nineteen
    twentieths, and a newcomer need not wait until one of its long edits ends. A tenth would leave
    a lone key no more than the nine tenths that are promised under overload.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.held = 0
        self._by_key: Counter[str] = Counter()
        self._kept = max(1, capacity // KEPT) if capacity > 1 else 0

    def has(self, key: str, amount: int = 1) -> bool:
        """Tell whether `key` may take `amount` more now."""
        left = self.capacity - self.held - amount
        if left >= self._kept or left < 0:
            return left >= 0
        holders = len(self._by_key) + (key not in self._by_key)
        return self._by_key[key] * max(holders, 2) < self.capacity

    def take(self, key: str, amount: int = 1) -> bool:
        """Take `amount` for `key` and tell whether that was possible."""
        possible = self.has(key, amount)
        if possible:
            self.held += amount
            self._by_key[key] += amount
        return possible

    def give(self, key: str, amount: int = 1) -> None:
        """Give `amount` of what `key` took back."""
        self.held -= amount
        self._by_key[key] -= amount
        if not self._by_key[key]:
            del self._by_key[key]
