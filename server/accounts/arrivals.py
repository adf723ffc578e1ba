"""Edits on their way to a hold: what a retry must wait for, since nothing of them is stored yet."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE_SECONDS = 30


class Arrivals:
    """The requests of this process whose pictures are being checked, by account and content."""

    def __init__(self) -> None:
        self._under_way: Counter[tuple[str, str]] = Counter()
        self._changed = threading.Condition()

    @contextmanager
    def arriving(self, account_id: str, fingerprint: str) -> Iterator[None]:
        """Be waited for by equal retries inside the block, which ends with a hold or a refusal."""
        asked = account_id, fingerprint
        with self._changed:
            self._under_way[asked] += 1
        try:
            yield
        finally:
            with self._changed:
                self._under_way[asked] -= 1
                if not self._under_way[asked]:
                    del self._under_way[asked]
                self._changed.notify_all()

    def wait(self, account_id: str, fingerprint: str) -> None:
        """Wait until no equal request is on its way to a hold, at most half a minute."""
        with self._changed:
            self._changed.wait_for(
                lambda: (account_id, fingerprint) not in self._under_way, PATIENCE_SECONDS
            )
