"""What is known of the call that the current thread serves, for the log line and the servicer."""

from __future__ import annotations

import json
import logging
import time
import traceback
from contextvars import ContextVar
from dataclasses import dataclass, field

from server.accounts.keys import Key

logger = logging.getLogger("imageedit.service")


@dataclass(slots=True)
class Call:
    """One RPC. `facts` are what its log line tells beside the fixed fields."""

    method: str
    request_id: str
    started: float
    key: Key | None = None
    idempotency_key: str | None = None
    retry_count: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    facts: dict[str, object] = field(default_factory=dict)

    @property
    def repeats(self) -> bool:
        """Whether it says that it may repeat an earlier call, whose answer may be waiting."""
        return self.idempotency_key is not None or self.retry_count > 0

    def log(self, code: str, event: str = "call") -> None:
        """Write the call's one line: never a prompt, a picture, a key or a `user`."""
        line = {
            "event": event,
            "method": self.method,
            "request_id": self.request_id,
            "key_id": self.key.id if self.key else None,
            "code": code,
            "ms": round((time.monotonic() - self.started) * 1000, 1),
            "bytes_in": self.bytes_in,
            "bytes_out": self.bytes_out,
            **self.facts,
        }
        logger.info(event, extra={"line": line})


current: ContextVar[Call] = ContextVar("current_call")


def forget(error: BaseException) -> None:
    """Drop what an error's tracebacks hold: every variable on its way, pictures among them.

    Some of these variables are errors, so else all would wait for the garbage collector.
    """
    failed: BaseException | None = error
    while failed is not None:
        traceback.clear_frames(failed.__traceback__)
        failed = failed.with_traceback(None).__context__


class JsonFormatter(logging.Formatter):
    """One JSON document a line, whatever the record holds."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line for `record`; its `line` mapping, or its message."""
        line: dict[str, object] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "program": "server",
        }
        line |= getattr(record, "line", {"event": "log", "message": record.getMessage()})
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)
