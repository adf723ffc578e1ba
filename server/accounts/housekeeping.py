"""What is done about once a minute: stored results that nobody may ask for any more go."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from server.accounts.results import Results
from server.domain import EditError

logger = logging.getLogger("imageedit.accounts")

INTERVAL_SECONDS = 60


class Housekeeping:
    """Purges `results` in a thread of its own, until closed. `clock` returns Unix milliseconds.

    `interval` is in seconds.
    """

    def __init__(
        self, results: Results, clock: Callable[[], int], interval: float = INTERVAL_SECONDS
    ) -> None:
        self._results = results
        self._clock = clock
        self._interval = interval
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Stop, after the round that is under way."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(self._interval):
            try:
                self._results.purge(self._clock())
            except (EditError, OSError):  # the next round tries again
                logger.warning("not purged", extra={"line": {"event": "not purged"}})
            except Exception:  # without another round nothing would ever go
                line = {"event": "bug", "where": "housekeeping"}
                logger.exception("bug", extra={"line": line})
