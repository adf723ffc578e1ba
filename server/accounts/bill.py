"""One edit's money, from the hold to its end: settled, given back, or booked as a loss."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from server.accounts.ledger import Ending, HoldLost, Ledger, Order
from server.domain import EditError, Situation

logger = logging.getLogger("imageedit.accounts")

Also = Callable[[Connection], None]
LOST = "lost"  # as the sweeper calls it: its repeat runs as new
PAUSES = (1, 1, 2)  # seconds between the tries to settle a finished edit


class Bill:
    """The hold of one edit. `submit` is called before the first byte leaves for an upstream."""

    def __init__(
        self, ledger: Ledger, order: Order, *, also: Also | None = None, told: bool = False
    ) -> None:
        """Take the hold; raises `EditError` when the account or the key does not allow it.

        `also` runs in the same transaction; `told` as for `Ledger.hold`.
        """
        self._ledger = ledger
        self._order = order
        self._at_risk = False
        try:
            ledger.hold(order, also=also, told=told)
        except IntegrityError as error:
            raise EditError(
                Situation.BAD_REQUEST,
                "x-request-id was used before; leave it out, and one is made.",
                field="x-request-id",
            ) from error

    def submit(self) -> None:
        """Record that the upstream may work from now on; raises `EditError` if the hold is gone."""
        try:
            self._ledger.submit(self._order.edit_id)
        except HoldLost as error:
            raise EditError(
                Situation.UPSTREAM_BUSY,
                "The edit took too long to begin; nothing was charged. Try again.",
                retry_after=1,
            ) from error
        self._at_risk = True

    def cleared(self) -> None:
        """Note that the attempt which was submitted surely cost nothing."""
        self._at_risk = False

    def charge(self, cost: int) -> int:
        """Return what is charged for an edit that cost `cost`: never more than the hold."""
        return min(cost, self._order.amount)

    def settle(self, cost: int, ending: Ending, *, also: Also) -> int:
        """Charge `cost` nano-dollars, the hold at the most, and return what was charged.

        `also` stores the result in the same transaction. Accounts that can't be reached are tried
        again for some seconds; after that, or where the edit was given up meanwhile (this process
        was held up longer than its heartbeat may be late), the finished picture is given for
        nothing, and what was held is booked as a loss as soon as that can be done.
        """
        charged = 0
        try:
            charged = self._patiently(
                lambda: self._ledger.post(self._order.edit_id, cost, ending, also=also)
            )
        except HoldLost as error:
            self._report("not settled", error)
        except EditError as error:
            self._report("not settled", error)
            self._later(replace(ending, outcome=LOST), cost)
        self._at_risk = False
        return charged

    def fail(self, ending: Ending, *, loss: int | None = None) -> None:
        """Give the hold back; what the upstream may bill, at most `loss`, is booked as a loss."""
        amount = (self._order.amount if loss is None else loss) if self._at_risk else None
        try:
            self._end(ending, amount)
        except EditError as error:
            self._report("not released", error)
            self._later(ending, amount)

    def _end(self, ending: Ending, loss: int | None) -> None:
        if loss is None:
            self._ledger.void(self._order.edit_id, ending)
        else:
            self._ledger.unknown(self._order.edit_id, loss, ending)

    def _later(self, ending: Ending, loss: int | None) -> None:
        self._ledger.unfinished.append(partial(self._end, ending, loss))

    def _patiently(self, act: Callable[[], int]) -> int:
        for pause in PAUSES:
            try:
                return act()
            except EditError:
                time.sleep(pause)
        return act()

    def _report(self, event: str, error: Exception) -> None:
        line = {"event": event, "edit_id": self._order.edit_id, "why": type(error).__name__}
        logger.error(event, extra={"line": line})
