"""The editor, with every edit counted as it ends."""

from __future__ import annotations

import time
from typing import Any

from server.accounts.desk import Ticket
from server.accounts.originals import Attached, OriginalFailed
from server.calls import current
from server.domain import EditError, EditRequest, EditResult, Situation
from server.editor import Editor
from server.metrics import Metrics
from server.upstream.attempts import AttemptFailed, Caller
from server.upstream.caller import CIRCUIT_OPEN

DELIVERED = "delivered"


class CountedEditor(Editor):
    """Counts in `metrics` what an `Editor`, which the rest is for, does."""

    def __init__(self, metrics: Metrics, *parts: Any, **options: Any) -> None:
        super().__init__(*parts, **options)
        self._metrics = metrics

    def edit(self, request: EditRequest, ticket: Ticket, caller: Caller) -> EditResult:
        """Do what an `Editor` does; in the thread, or the context, of an RPC."""
        started = time.monotonic()
        outcome, attempt = Situation.BUG.value, ""
        try:
            result = super().edit(request, ticket, caller)
            outcome, attempt = DELIVERED, "replayed" if result.replayed else DELIVERED
        except Attached:
            outcome, attempt = DELIVERED, "replayed"
            raise
        except EditError as error:
            outcome, attempt = error.situation.value, _meaning(error)
            raise
        else:
            return result
        finally:
            records: Any = current.get().facts.get("attempts", [])
            for record in records:
                if record["fate"] == CIRCUIT_OPEN:
                    continue  # the upstream was not asked
                self._metrics.attempt(
                    f"{record['provider']}:{record['model']}",
                    outcome=record["outcome"],
                    seconds=record["seconds"],
                )
            attempt = attempt or _last(records)
            seconds = time.monotonic() - started
            self._metrics.edit(request.model, outcome=outcome, attempt=attempt, seconds=seconds)


def _meaning(error: EditError) -> str:
    """Return what the last attempt came to, "" where the error does not tell."""
    if isinstance(error, OriginalFailed):
        return "replayed"
    cause = error.__cause__
    return "unknown" if isinstance(cause, AttemptFailed) and cause.billable else ""


def _last(records: list[dict[str, Any]]) -> str:
    if not records:
        return "none"
    return DELIVERED if records[-1]["outcome"] == DELIVERED else "unbilled"
