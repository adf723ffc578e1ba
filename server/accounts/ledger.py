"""The ledger: held, submitted, then posted, voided or unknown; each step once, in one transaction.

Money is whole nano-dollars, time Unix milliseconds. Every method raises what `Store` raises when
the database can't be used; nothing was changed then.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, func, insert, or_, update

from server.accounts import allowance, credit, endings, journal
from server.accounts.credit import Balance
from server.accounts.endings import Ending, Transition
from server.accounts.schema import edits
from server.accounts.store import Store

__all__ = ["Balance", "Ending", "HoldLost", "Ledger", "Order"]

logger = logging.getLogger("imageedit.accounts")

Also = Callable[[Connection], None]


class HoldLost(Exception):
    """The edit is not ours any more, or not in the state for this: it was swept, or had ended."""


@dataclass(frozen=True, slots=True)
class Order:
    """What money is held for. `amount` is the most that the edit may cost, in nano-dollars."""

    edit_id: str
    account_id: str
    key_id: str
    user: str
    model: str
    amount: int
    fingerprint: str
    claims: int = 0  # the retry that began it, which is no original of another retry so high


_TAKE = insert(edits)
_SUBMIT = (
    update(edits)
    .where(
        edits.c.id == bindparam("edit"),
        edits.c.owner == bindparam("by"),
        or_(edits.c.state == "held", edits.c.state == "submitted"),
    )
    .values(state="submitted", submitted=func.coalesce(edits.c.submitted, bindparam("now")))
)
# All of a new row that an order does not say.
_NEW = {
    "state": "held",
    "cost": 0,
    "loss": 0,
    "claims": 0,
    "delivered": False,
    **endings.record(Ending("")),
}


class Ledger:
    """The money of one instance of the service, `owner`. Shared by all threads.

    `clock` returns Unix milliseconds, `new_id` a fresh UUID.
    """

    def __init__(
        self, store: Store, *, owner: str, clock: Callable[[], int], new_id: Callable[[], str]
    ) -> None:
        self._store = store
        self._owner = owner
        # Endings that could not be written when they came, for the heart to try again.
        self.unfinished: deque[Callable[[], None]] = deque(maxlen=10_000)
        self._clock = clock
        self._new_id = new_id

    def top_up(self, account_id: str, amount: int) -> None:
        """Add to an account, or take from it where `amount` is negative, up to what is free.

        Raises `ValueError` for more than is free, for no such account, and for amounts that can't
        be meant.
        """
        with self._store.write() as connection:
            credit.top_up(
                connection, account_id, amount, event_id=self._new_id(), now=self._clock()
            )

    def hold(self, order: Order, *, also: Also | None = None, told: bool = False) -> None:
        """Hold what an edit may cost, and record the edit; `also` runs in the same transaction.

        A hold that the power takes away before `submit` has cost nobody anything, so only one that
        is `told` of waits for the disk. Raises `EditError`: INVALID_KEY, LIMITED (concurrency),
        NO_CREDIT; `ValueError` for a negative amount; sqlalchemy's `IntegrityError` when the edit's
        id was used before.
        """
        _refuse_negative(order.amount)
        now = self._clock()
        with self._store.write(durable=told) as connection:
            allowance.take(connection, order.account_id, order.key_id, order.amount, now)
            row = {
                "id": order.edit_id,
                "account_id": order.account_id,
                "key_id": order.key_id,
                "user": order.user,
                "model": order.model,
                "owner": self._owner,
                "hold": order.amount,
                "created": now,
                "fingerprint": order.fingerprint,
                "claims": order.claims,
            }
            connection.execute(_TAKE, _NEW | row)
            journal.book(
                connection,
                journal.Event(self._new_id(), "hold", now, order.edit_id),
                {
                    journal.customer(order.account_id): -order.amount,
                    journal.held(order.account_id): order.amount,
                },
            )
            if also is not None:
                also(connection)

    def finish_what_is_left(self) -> None:
        """Write the endings that could not be written; raises `EditError` where one still can't."""
        while self.unfinished:
            self.unfinished[0]()
            self.unfinished.popleft()

    def submit(self, edit_id: str) -> None:
        """Commit that the upstream may bill from now on; again is nothing. Raises `HoldLost`."""
        asked = {"edit": edit_id, "by": self._owner, "now": self._clock()}
        with self._store.write() as connection:
            if connection.execute(_SUBMIT, asked).rowcount == 0:
                raise HoldLost(edit_id)

    def post(self, edit_id: str, cost: int, ending: Ending, *, also: Also | None = None) -> int:
        """Charge a submitted edit; return what was charged: `cost`, up to the hold.

        The excess is the operator's loss, and logged. `also` runs in the same transaction. Raises
        `HoldLost`, and nothing is charged then, nor is `also` run.
        """
        with self._store.write() as connection:
            charged = self._end(connection, endings.POST, edit_id, ending, cost=cost)
            if charged is None:
                raise HoldLost(edit_id)
            if also is not None:
                also(connection)
        self._store.tally.add(posted=charged, overrun=cost - charged)
        if cost > charged:
            line = {"event": "overrun", "edit_id": edit_id, "cost": cost, "charged": charged}
            logger.warning("overrun", extra={"line": line})
        return charged

    def void(self, edit_id: str, ending: Ending) -> bool:
        """Give the hold back, nothing lost; `False` when the edit had ended or is not ours."""
        with self._store.write() as connection:
            return self._end(connection, endings.VOID, edit_id, ending) is not None

    def unknown(self, edit_id: str, loss: int, ending: Ending) -> bool:
        """Give the hold of a submitted edit back, and book what the upstream may bill as a loss.

        `False`, and nothing booked, when it was not submitted, had ended or is not ours.
        """
        with self._store.write() as connection:
            charged = self._end(connection, endings.UNKNOWN, edit_id, ending, loss=loss)
        if charged is not None:
            self._store.tally.add(lost=loss)
        return charged is not None

    def balance(self, account_id: str) -> Balance:
        """Return an account's balance; raises `KeyError` when there is no such account."""
        with self._store.read() as connection:
            return credit.balance(connection, account_id)

    def _end(
        self,
        connection: Connection,
        transition: Transition,
        edit_id: str,
        ending: Ending,
        *,
        cost: int = 0,
        loss: int = 0,
    ) -> int | None:
        _refuse_negative(cost, loss)
        return endings.end(
            connection,
            transition,
            edit_id,
            ending,
            owner=self._owner,
            event_id=self._new_id(),
            now=self._clock(),
            cost=cost,
            loss=loss,
        )


def _refuse_negative(*amounts: int) -> None:
    if min(amounts) < 0:
        raise ValueError("a hold, a cost and a loss are never negative")
