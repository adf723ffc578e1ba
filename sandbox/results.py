"""Finished pictures for download, kept in memory for a while."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict

from sandbox.wire import Reply

LIFETIME_SECONDS = 3600.0
MOST = 256
PREFIX = "/siliconflow/results/"


class Results:
    """At most `MOST` answers by a path that cannot be guessed; the oldest go first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[float, Reply]] = OrderedDict()

    def keep(self, reply: Reply, extension: str) -> str:
        """Keep `reply` and return its path."""
        path = f"{PREFIX}{secrets.token_urlsafe(16)}.{extension}"
        with self._lock:
            self._kept[path] = (time.monotonic() + LIFETIME_SECONDS, reply)
            while len(self._kept) > MOST:
                self._kept.popitem(last=False)
        return path

    def find(self, path: str) -> Reply | None:
        """Return the answer kept at `path`, `None` if there is none any more."""
        with self._lock:
            expires, reply = self._kept.get(path, (0.0, None))
        return reply if time.monotonic() < expires else None
