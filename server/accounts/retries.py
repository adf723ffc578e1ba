"""An SDK's automatic retries, which carry no idempotency key: each takes one original.

Nothing says which of several equal originals a retry belongs to, so the guess must keep two
promises: no two retries of one number share an original, and none is left without while another
has one too many.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import bindparam, case, exists, false, select, update

from server.accounts.originals import FAILED, POSTED, REPEATABLE, UNDER_WAY
from server.accounts.results import UNKEYED_MS
from server.accounts.schema import claims, edits
from server.accounts.store import Store

_answerable = (edits.c.state == POSTED) | (
    edits.c.submitted.is_not(None) & edits.c.outcome.not_in(REPEATABLE)
)
# The highest number below the retry's own comes first: an original that retry 1 had is left to
# retry 2, because it is of no use to another retry 1. So however retries of equal requests
# arrive, each finds an original, and none runs and pays again. Then pictures before errors: an
# error, never confirmed, must not hide a picture that was paid.
_CANDIDATE = (
    select(edits.c.id)
    .where(
        edits.c.account_id == bindparam("account_id"),
        edits.c.fingerprint == bindparam("fingerprint"),
        edits.c.claims < bindparam("number"),
        edits.c.state.in_(UNDER_WAY) | (edits.c.ended >= bindparam("oldest")) & _answerable,
        ~exists().where(claims.c.account_id == edits.c.account_id, claims.c.edit_id == edits.c.id),
    )
    .order_by(
        edits.c.claims.desc(),
        case((edits.c.state.in_(FAILED), 1), else_=0),
        edits.c.delivered,
        case((edits.c.state.in_(UNDER_WAY), 1), else_=0),
        edits.c.created,
        edits.c.id,
    )
    .limit(1)
)
_TAKE = (
    update(edits)
    .where(edits.c.id == bindparam("edit_id"), edits.c.claims < bindparam("number"))
    .values(claims=bindparam("number"), delivered=false())
)


class Retries:
    """Which retries had which edits. `clock` returns Unix milliseconds."""

    def __init__(self, store: Store, clock: Callable[[], int]) -> None:
        self._store = store
        self._clock = clock

    def take_any(self, account_id: str, fingerprint: str, number: int) -> str | None:
        """Return the id of an edit for retry `number` alone, `None` when there is none.

        It has no idempotency key and is under way, or ended within 10 minutes with an answer that
        may be given again.
        """
        asked = {
            "account_id": account_id,
            "fingerprint": fingerprint,
            "number": number,
            "oldest": self._clock() - UNKEYED_MS,
        }
        while True:
            with self._store.read() as connection:
                edit_id: str | None = connection.scalar(_CANDIDATE, asked)
            if edit_id is None or self.take(edit_id, number):
                return edit_id

    def take(self, edit_id: str, number: int) -> bool:
        """Give an edit to retry `number`; tell whether none of that number or above had it."""
        with self._store.write() as connection:
            taken = connection.execute(_TAKE, {"edit_id": edit_id, "number": number})
            return taken.rowcount == 1
