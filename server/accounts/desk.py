"""The accounts as the editor meets them: who asks, what they may, and what they asked before."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

from sqlalchemy import Connection

from server.accounts import answers, fingerprint
from server.accounts.arrivals import Arrivals
from server.accounts.bill import Bill
from server.accounts.idempotency import Idempotency, Replay, Waiter
from server.accounts.keys import Key, Keys, may_use
from server.accounts.ledger import Ending, Ledger, Order
from server.accounts.limits import Allowance, Limits
from server.accounts.operations import Operations
from server.accounts.results import Results
from server.accounts.store import Store
from server.accounts.users import Users
from server.accounts.waiting import Waiting
from server.domain import EditError, EditRequest, EditResult, Situation
from server.tracing import spans


@dataclass(frozen=True, slots=True)
class Ticket:
    """An edit's caller: the key, the request's id, and what it says of being a repeat."""

    key: Key
    request_id: str
    idempotency_key: str | None = None
    retry_count: int = 0
    detached: bool = False  # whether the edit goes on by itself

    def content(self, asked: str) -> str:
        """Return what repeats without a key are recognised by; `asked` is the fingerprint."""
        return fingerprint.detached(asked) if self.detached else asked

    @property
    def repeats(self) -> bool:
        """Whether it may repeat an earlier edit."""
        return self.idempotency_key is not None or self.retry_count > 0


@dataclass(frozen=True, slots=True)
class Desk:
    """All of the accounts."""

    keys: Keys
    ledger: Ledger
    idempotency: Idempotency
    results: Results
    operations: Operations
    limits: Limits
    users: Users
    arrivals: Arrivals
    waiting: Waiting

    @classmethod
    def open(
        cls,
        store: Store,
        limits: Limits,
        *,
        owner: str,
        clock: Callable[[], int],
        new_id: Callable[[], str],
        results_bytes: int,
    ) -> Desk:
        """Return the accounts in `store` for the running service `owner`."""
        results = Results(store, clock=clock, quota=results_bytes)
        return cls(
            keys=Keys(store, clock, new_id),
            ledger=Ledger(store, owner=owner, clock=clock, new_id=new_id),
            idempotency=Idempotency(store, results, clock=clock, pause=time.sleep),
            results=results,
            operations=Operations(store, results, clock),
            limits=limits,
            users=Users(store, clock),
            arrivals=Arrivals(clock),
            waiting=Waiting(),
        )

    def unread(self, ticket: Ticket) -> AbstractContextManager[None]:
        """Remember a refusal inside the block, which comes before anyone read what is asked."""
        return nullcontext() if ticket.repeats else self.arrivals.refusing(ticket.key.account_id)

    @contextmanager
    def noting(self, ticket: Ticket, asked: Callable[[], str]) -> Iterator[None]:
        """Remember a refusal inside the block; `asked` returns the request's fingerprint.

        A repeat that is refused may still have its original, so nothing is noted of it.
        """
        try:
            yield
        except EditError as error:
            if error.retry_after is not None and not ticket.repeats:
                self.arrivals.refused((ticket.key.account_id, ticket.content(asked())))
            raise

    def admit(self, ticket: Ticket, request: EditRequest) -> None:
        """Raise `EditError` unless the key may use the model, and the end user may edit."""
        may_use(ticket.key, request.model)
        if not request.user:
            return
        if self.users.is_blocked(ticket.key.account_id, request.user):
            raise EditError(Situation.FORBIDDEN, "This user is blocked.", field="user")
        self.limits.hit_user(ticket.key.account_id, request.user)

    def count_first(self, key: Key) -> Allowance:
        """Count an edit that repeats none; raises `EditError` (LIMITED)."""
        with self.arrivals.refusing(key.account_id):
            return self.limits.hit(key)

    def check(self, ticket: Ticket) -> None:
        """Raise `EditError` where an edit could not begin now for its key's rate or balance.

        A repeat may have its answer waiting: neither stands before that.
        """
        key = ticket.key
        if ticket.retry_count > 0 or self.idempotency.knows(key.account_id, ticket.idempotency_key):
            return
        with self.unread(ticket):
            self.limits.check(key)
        balance = self.ledger.balance(key.account_id)
        if balance.posted - balance.held <= 0:
            raise EditError(Situation.NO_CREDIT, "There is no credit left on this account.")

    @spans.traced("replay")
    def replay(self, ticket: Ticket, asked: str, waiter: Waiter) -> EditResult | None:
        """Return the stored answer of the edit that this one repeats, waiting for it if need be.

        `asked` is the request's fingerprint. Raises the original's `EditError` where it failed.
        """
        if not ticket.repeats:
            return None
        self.limits.hit_repeat(ticket.key)
        with self.waiting.place(ticket.key):
            found = self._original(ticket, asked, waiter)
        return answers.restored(found.facts, found.picture) if found else None

    def _original(self, ticket: Ticket, asked: str, waiter: Waiter) -> Replay | None:
        account_id, number = ticket.key.account_id, ticket.retry_count
        if ticket.idempotency_key is not None:
            return self.idempotency.by_key(
                account_id, ticket.idempotency_key, asked, number, waiter
            )
        content = ticket.content(asked)
        if self.arrivals.begins_anew((account_id, content), waiter.left):
            return None
        refused = self.arrivals.was_refused(account_id)
        others = self.arrivals.attended() if refused else None
        found = self.idempotency.by_content(account_id, content, number, waiter, others=others)
        if found is None and refused:
            self.arrivals.came_again(account_id)
        return found

    def count(self, ticket: Ticket) -> None:
        """Count an edit that turned out to repeat none; raises `EditError` (LIMITED)."""
        if ticket.repeats:
            self.limits.hit(ticket.key)

    def hold(self, ticket: Ticket, order: Order, asked: str) -> Bill:
        """Return the bill of a new edit, with its hold taken and its idempotency key claimed.

        `asked` is the request's fingerprint. Raises `EditError`, and `ClaimTaken` where another
        request claimed the key meanwhile.
        """

        def claim(connection: Connection) -> None:
            if ticket.idempotency_key is not None:
                self.idempotency.claim(
                    connection,
                    order.account_id,
                    ticket.idempotency_key,
                    asked,
                    order.edit_id,
                )

        # Who starts a job is told its id, to ask for it later.
        return Bill(self.ledger, order, also=claim, told=ticket.detached)

    @spans.traced("settle")
    def settle(
        self, ticket: Ticket, bill: Bill, result: EditResult, cost: int, ending: Ending
    ) -> int:
        """Charge a finished edit and keep its answer, together; return what was charged.

        `cost` is in nano-dollars; what it has above the hold is booked as the operator's loss.
        """
        keep_ms = self.idempotency.keep_ms(ticket.idempotency_key)
        keep = self.results.keep(result.id, answers.facts(result), result.picture.data, keep_ms)
        return bill.settle(cost, ending, also=keep)
