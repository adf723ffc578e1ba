"""Originals: edits that another request repeats; waited for, then answered from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import bindparam, select

from server.accounts.results import Results
from server.accounts.schema import edits
from server.accounts.store import Store
from server.domain import EditError, Situation

UNDER_WAY = ("held", "submitted")
FAILED = ("voided", "unknown")
POSTED = "posted"
# Failures after which the caller's repeat runs as new: resolved after a crash, or surely unbilled
# and worth another try.
REPEATABLE = ("lost", Situation.UPSTREAM_BUSY.value, Situation.CANCELLED.value)
# Seconds between two looks at an original; it may be carried by another process.
FIRST_PAUSE, LAST_PAUSE = 0.05, 0.25

_LOOK = select(
    edits.c.id, edits.c.state, edits.c.submitted, edits.c.outcome, edits.c.message, edits.c.field
).where(edits.c.id == bindparam("edit_id"))


class Waiter(Protocol):
    """Who waits for an original."""

    def waits_for(self, edit_id: str) -> None:
        """Hear which edit is waited for; what it raises ends the waiting before it began."""

    def remaining(self) -> float | None:
        """Return the seconds until the caller's deadline, `None` without one."""

    def left(self) -> bool:
        """Tell whether the caller cancelled, or its deadline passed."""


@dataclass(frozen=True, slots=True)
class Original:
    """What became of an edit; the columns of its row."""

    id: str
    state: str
    submitted: int | None
    outcome: str
    message: str
    field: str | None


@dataclass(frozen=True, slots=True)
class Replay:
    """An original's answer: its id, the facts as they were stored, and the picture's file."""

    edit_id: str
    facts: Mapping[str, Any]
    picture: bytes


class OriginalFailed(EditError):
    """The error of an original, the edit `edit_id`, given to a request that repeats it."""

    def __init__(
        self, situation: Situation, message: str, *, field: str | None, edit_id: str
    ) -> None:
        super().__init__(situation, message, field=field)
        self.edit_id = edit_id


class Attached(Exception):
    """What a waiter raises who will not wait: the edit `edit_id` goes on without it."""

    def __init__(self, edit_id: str) -> None:
        super().__init__(edit_id)
        self.edit_id = edit_id


class Originals:
    """The edits as their repeats see them. `pause` waits for a number of seconds."""

    def __init__(self, store: Store, results: Results, pause: Callable[[float], None]) -> None:
        self._store = store
        self._results = results
        self._pause = pause

    def ended(self, edit_id: str, waiter: Waiter) -> Original:
        """Return what became of an edit once it ended, whichever process carries it.

        No connection is held meanwhile. Raises `EditError` (CANCELLED, UPSTREAM_TIMEOUT) when the
        waiter left or its time is over before that.
        """
        pause, original = FIRST_PAUSE, self._look(edit_id)
        if original.state in UNDER_WAY:
            waiter.waits_for(edit_id)
        while original.state in UNDER_WAY:
            remaining = waiter.remaining()
            if remaining is not None and remaining <= 0:
                raise EditError(
                    Situation.UPSTREAM_TIMEOUT,
                    "The time of this request is over and its edit is still under way; the picture"
                    " is kept for a repeat.",
                )
            if waiter.left():
                raise EditError(Situation.CANCELLED, "The caller left before the edit was done.")
            self._pause(pause if remaining is None else min(pause, remaining))
            pause = min(pause * 2, LAST_PAUSE)
            original = self._look(edit_id)
        return original

    def answer(self, original: Original) -> Replay | None:
        """Return the stored answer of an edit that ended, `None` when its repeat must run as new.

        Raises `OriginalFailed` where the upstream worked on it and another try might be paid twice
        or can't help.
        """
        if original.state == POSTED:
            stored = self._results.load(original.id)
            return Replay(original.id, stored.facts, stored.picture) if stored else None
        if original.submitted is None or original.outcome in REPEATABLE:
            return None
        raise OriginalFailed(
            Situation(original.outcome),
            original.message or "The edit failed; nothing was charged.",
            field=original.field,
            edit_id=original.id,
        )

    def _look(self, edit_id: str) -> Original:
        with self._store.read() as connection:
            row = connection.execute(_LOOK, {"edit_id": edit_id}).one()
        return Original(*row)
