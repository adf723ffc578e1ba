"""The log: one line of JSON for each thing that happened. Never a key, a prompt or a picture."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from threading import Lock
from typing import TextIO

import orjson

_MAX_FRAMES = 20


class Journal:
    """Writes lines to `stream`; `now` gives the time of day, in UTC."""

    def __init__(
        self, stream: TextIO, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._stream = stream
        self._now = now
        self._lock = Lock()

    def write(self, event: str, **facts: object) -> None:
        """Write one line with the time, `event` and `facts`."""
        time = self._now().isoformat(timespec="milliseconds")
        line = orjson.dumps({"time": time, "program": "http", "event": event, **facts}).decode()
        with self._lock:
            self._stream.write(f"{line}\n")
            self._stream.flush()

    def bug(self, error: BaseException, request_id: str) -> None:
        """Write where `error` came from. Its text stays out: it may quote the request."""
        frames = traceback.extract_tb(error.__traceback__)[-_MAX_FRAMES:]
        where = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        self.write("bug", request_id=request_id, error=type(error).__name__, where=where)
