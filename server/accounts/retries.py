"""An SDK's automatic retries, which carry no idempotency key: each takes one original.

Nothing says which of several equal originals a retry belongs to, so the guess must keep two
promises: no two retries of one number share an original, and none is left without while another
has one too many.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from sqlalchemy import bindparam, case, exists, false, select, update

from server.accounts.originals import FAILED, POSTED, REPEATABLE, UNDER_WAY
from server.accounts.results import UNKEYED_MS
from server.accounts.schema import claims, edits
from server.accounts.store import Store
from server.domain import Situation

SPENT = 1_000_000  # above any retry's number
SDK_BACKOFF_MS = 15_000  # their own waits are 8 s at the most
LONGEST_WAIT_MS = 70_000  # Retry-After is 60 s at the most

_answerable = (edits.c.state == POSTED) | (
    edits.c.submitted.is_not(None) & edits.c.outcome.not_in(REPEATABLE)
)
_told_to_come_again = edits.c.outcome == Situation.UPSTREAM_BUSY.value
# The highest number below the retry's own comes first: an original that retry 1 had is left to
# retry 2, because it is of no use to another retry 1. So however retries of equal requests
# arrive, each finds an original, and none runs and pays again. Then pictures before errors: an
# error, never confirmed, must not hide a picture that was paid. Before all: one that was told to
# come again later. Its retry runs as new, and equal callers then have as many edits as calls.
_CANDIDATE = (
    select(edits.c.id)
    .where(
        edits.c.account_id == bindparam("account_id"),
        edits.c.fingerprint == bindparam("fingerprint"),
        edits.c.claims < bindparam("number"),
        # One that goes on by itself is delivered once its caller knows of it.
        edits.c.state.in_(UNDER_WAY)
        & (~edits.c.delivered | (edits.c.created >= bindparam("just_now")))
        | (edits.c.ended >= bindparam("oldest")) & _answerable & ~edits.c.delivered
        # A proxy may have swallowed what seems delivered; an SDK then asks again within seconds.
        | (edits.c.ended >= bindparam("just_now")) & _answerable
        | (edits.c.ended >= bindparam("lately")) & _told_to_come_again,
        ~exists().where(claims.c.account_id == edits.c.account_id, claims.c.edit_id == edits.c.id),
    )
    .where(edits.c.id.not_in(bindparam("others", expanding=True)))
    .order_by(
        edits.c.claims.desc(),
        case((_told_to_come_again, 0), else_=1),
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
    .values(
        # Who was told to come again comes once; any later retry is of the edit that began then.
        claims=case((_told_to_come_again, SPENT), else_=bindparam("number")),
        delivered=false(),
    )
)

_SPEND = update(edits).where(edits.c.id == bindparam("edit_id")).values(claims=SPENT)


class Retries:
    """Which retries had which edits. `clock` returns Unix milliseconds."""

    def __init__(self, store: Store, clock: Callable[[], int]) -> None:
        self._store = store
        self._clock = clock

    def take_any(
        self, account_id: str, fingerprint: str, number: int, *, others: Collection[str] | None
    ) -> str | None:
        """Return the id of an edit for retry `number` alone, `None` when there is none.

        It has no idempotency key and is under way, or ended within 10 minutes with an answer that
        may be given again. `others`: edits that other callers surely wait for; leave out these, and
        what was delivered for all that can be known. `None` where the retry's own first attempt
        surely is among the edits.
        """
        asked = {
            "account_id": account_id,
            "fingerprint": fingerprint,
            "number": number,
            "oldest": self._clock() - UNKEYED_MS,
            "lately": self._clock() - LONGEST_WAIT_MS,
            "just_now": self._clock() + (-SDK_BACKOFF_MS if others is None else LONGEST_WAIT_MS),
            "others": list(others or ()),
        }
        while True:
            with self._store.read() as connection:
                edit_id: str | None = connection.scalar(_CANDIDATE, asked)
            if edit_id is None or self.take(edit_id, number):
                return edit_id

    def spend(self, edit_id: str) -> None:
        """Give an edit to no retry any more: the one that waited for it runs as new."""
        with self._store.write() as connection:
            connection.execute(_SPEND, {"edit_id": edit_id})

    def take(self, edit_id: str, number: int) -> bool:
        """Give an edit to retry `number`; tell whether none of that number or above had it."""
        with self._store.write() as connection:
            taken = connection.execute(_TAKE, {"edit_id": edit_id, "number": number})
            return taken.rowcount == 1
