"""What this process did to the books since it began, counted for its operator."""

from __future__ import annotations

from threading import Lock

NAMES = (
    "posted",  # nano-dollars that customers were charged
    "lost",  # nano-dollars that upstreams may bill for edits of unknown outcome
    "overrun",  # nano-dollars that edits cost above their holds
    "swept",  # holds of services that died, given back
    "unreachable",  # uses of the database that failed
)


class Tally:
    """Sums by name, those of `NAMES`, that only grow. Shared by all threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._sums = dict.fromkeys(NAMES, 0)

    def add(self, **amounts: int) -> None:
        """Add to sums by name; raises KeyError for other names."""
        with self._lock:
            for name, amount in amounts.items():
                self._sums[name] += amount

    def read(self) -> dict[str, int]:
        """Return the sums as they are together at one moment."""
        with self._lock:
            return dict(self._sums)
