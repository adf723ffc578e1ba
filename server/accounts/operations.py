"""Operations: edits as they are seen apart from the call that began them. Nothing else is stored.

An operation is its edit's row, and the stored result. So it survives its service, whose sweeper
ends what it left, and every service on the database can tell of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, and_, bindparam, delete, exists, or_, select, update

from server.accounts import answers
from server.accounts.originals import POSTED, UNDER_WAY
from server.accounts.results import KEYED_MS, UNKEYED_MS, Results
from server.accounts.schema import claims, edits, results
from server.accounts.store import Store
from server.domain import EditError, EditResult, Situation

CANCEL, FORGET = "cancel", "forget"


class State(StrEnum):
    """How far an operation is."""

    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Operation:
    """An edit as it is now; times are Unix milliseconds, `None` for what is still to come.

    `result` has the facts without the picture, where the edit succeeded; `error` is why it did not.
    """

    id: str
    state: State
    model: str
    created: int
    ended: int | None = None
    expires: int | None = None
    cancel_requested: bool = False
    result: EditResult | None = None
    error: EditError | None = None


_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_live = edits.c.state.in_(UNDER_WAY)
_its = and_(edits.c.id == bindparam("edit"), edits.c.account_id == bindparam("of_account"))
_keyed = exists().where(claims.c.account_id == edits.c.account_id, claims.c.edit_id == edits.c.id)
_LOOK = (
    select(edits, _keyed.label("keyed"), results.c.facts, results.c.expires)
    .outerjoin(results, results.c.edit_id == edits.c.id)
    .where(_its, or_(edits.c.wish.is_(None), edits.c.wish != FORGET))
)
_CANCEL = update(edits).where(_its, _live).values(wish=CANCEL)
_FORGET = update(edits).where(_its, ~_live).values(wish=FORGET)
_DROP = delete(results).where(results.c.edit_id == bindparam("edit"))
_KNOWN = select(edits.c.id).where(_its)
_CANCELLED = select(edits.c.id).where(
    edits.c.id.in_(bindparam("edits", expanding=True)), _live, edits.c.wish == CANCEL
)


class Operations:
    """The operations in the store. `clock` returns Unix milliseconds."""

    def __init__(self, store: Store, kept: Results, clock: Callable[[], int]) -> None:
        self._store = store
        self._results = kept
        self._clock = clock

    def get(self, account_id: str, edit_id: str) -> Operation:
        """Return an operation of the account; raises `EditError` (NOT_FOUND).

        One that ended is found for 10 minutes, for 24 hours with an idempotency key, unless its
        picture had to make room for later ones before.
        """
        with self._store.read() as connection:
            row = connection.execute(_LOOK, _asked(account_id, edit_id)).one_or_none()
        operation = None if row is None else _operation(row)
        expires = operation.expires if operation else 0
        if operation is None or (expires is not None and expires <= self._clock()):
            raise _not_found("There is no such edit, or it is not kept any more.")
        return operation

    def picture(self, account_id: str, edit_id: str) -> EditResult:
        """Return the result of an operation that succeeded; raises `EditError` (NOT_FOUND)."""
        operation = self.get(account_id, edit_id)
        stored = self._results.load(edit_id) if operation.result else None
        if stored is None:
            raise _not_found(f"The edit has no picture: it is {operation.state.value}.")
        return answers.restored(stored.facts, stored.picture)

    def cancel(self, account_id: str, edit_id: str) -> Operation:
        """Note that the caller wants the operation's end, if it is under way, and return it.

        Whoever carries it looks for that. Raises `EditError` (NOT_FOUND).
        """
        with self._store.write() as connection:
            connection.execute(_CANCEL, _asked(account_id, edit_id))
        return self.get(account_id, edit_id)

    def forget(self, account_id: str, edit_id: str) -> bool:
        """Drop an operation that ended, and its picture; `False` for one that is under way.

        May be asked again. Raises `EditError` (NOT_FOUND) for what never was the account's.
        """
        asked = _asked(account_id, edit_id)
        with self._store.write() as connection:
            if connection.execute(_FORGET, asked).rowcount == 1:
                connection.execute(_DROP, {"edit": edit_id})
            elif connection.scalar(_KNOWN, asked) is None:
                raise _not_found("There is no such edit.")
            else:
                return False
        self._results.drop(edit_id)
        return True

    def cancelled(self, edit_ids: Collection[str]) -> list[str]:
        """Return those of some edits that are under way, and whose end is wanted."""
        with self._store.read() as connection:
            return list(connection.scalars(_CANCELLED, {"edits": list(edit_ids)}))


def _asked(account_id: str, edit_id: str) -> dict[str, str]:
    """Return what every statement asks by; raises `EditError` for what is no id at all."""
    if not _UUID.fullmatch(edit_id):
        raise _not_found("There is no such edit: its id is no UUID.")
    return {"edit": edit_id, "of_account": account_id}


def _operation(row: Row[Any]) -> Operation | None:
    """Return what an edit's row tells; `None` where its result is not kept any more."""
    common: dict[str, Any] = {
        "id": row.id,
        "model": row.model,
        "created": row.created,
        "cancel_requested": row.wish == CANCEL,
    }
    if row.state in UNDER_WAY:
        queued = row.state == UNDER_WAY[0]
        return Operation(state=State.QUEUED if queued else State.IN_PROGRESS, **common)
    common["ended"] = row.ended
    if row.state == POSTED:
        if row.facts is None:
            return None
        result = answers.restored(json.loads(row.facts), b"")
        return Operation(state=State.SUCCEEDED, expires=row.expires, result=result, **common)
    return Operation(
        state=State.CANCELLED if row.outcome == Situation.CANCELLED.value else State.FAILED,
        expires=row.ended + (KEYED_MS if row.keyed else UNKEYED_MS),
        error=_error(row),
        **common,
    )


def _error(row: Row[Any]) -> EditError:
    known = {situation.value for situation in Situation}
    # What a service left when it died is no situation of a caller's.
    situation = Situation(row.outcome) if row.outcome in known else Situation.UPSTREAM_FAILED
    message = row.message or "The edit failed; nothing was charged."
    return EditError(situation, message, field=row.field)


def _not_found(message: str) -> EditError:
    return EditError(Situation.NOT_FOUND, message)
