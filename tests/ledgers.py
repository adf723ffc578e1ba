"""Accounts, keys and orders for tests of the ledger; the clock stands still until it is moved."""

from __future__ import annotations

from itertools import count
from typing import Any

from sqlalchemy import Row, insert, select

from server.accounts import schema
from server.accounts.ledger import Ending, Ledger, Order
from server.accounts.store import Store

NOON = 1_778_120_000_000
DELIVERED = Ending("delivered", route="openai gpt-image-2", attempts=1, upstream_ms=61_000)
FAILED = Ending("upstream_failed", "The upstream failed; nothing was charged.")


class Bank:
    """A store with whom it takes to spend: `clock` and `new_id` are for what is under test."""

    def __init__(self, store: Store, *, prefix: str = "id") -> None:
        self.store = store
        self.now = NOON
        self._numbers = count(1)
        self._prefix = prefix

    def clock(self) -> int:
        return self.now

    def new_id(self) -> str:
        return f"{self._prefix}-{next(self._numbers)}"

    def ledger(self, owner: str = "me") -> Ledger:
        return Ledger(self.store, owner=owner, clock=self.clock, new_id=self.new_id)

    def account(self, credit: int = 0) -> str:
        account_id = self.new_id()
        row = {"id": account_id, "created": self.now, "posted": 0, "held": 0}
        with self.store.write() as connection:
            connection.execute(insert(schema.accounts).values(row))
        self.ledger().top_up(account_id, credit)
        return account_id

    def key(self, account_id: str, **facts: int | None) -> str:
        key_id = self.new_id()
        row = {
            "id": key_id,
            "account_id": account_id,
            "digest": key_id,
            "hint": "ie_1…2345",
            "name": "tests",
            "created": self.now,
            "rate_limit": 60,
            "concurrency": 1000,
            "spent": 0,
            "held": 0,
            "active": 0,
        }
        with self.store.write() as connection:
            connection.execute(insert(schema.keys).values(row | facts))
        return key_id

    def order(self, account_id: str, key_id: str, amount: int = 100) -> Order:
        return Order(self.new_id(), account_id, key_id, "anna", "openai/x", amount, "f" * 64)

    def beat(self, owner: str, at: int | None = None) -> None:
        row = {"id": owner, "heartbeat": self.now if at is None else at}
        with self.store.write() as connection:
            connection.execute(insert(schema.instances).values(row))

    def edit(self, edit_id: str) -> Row[Any]:
        return self._one(schema.edits, edit_id)

    def key_row(self, key_id: str) -> Row[Any]:
        return self._one(schema.keys, key_id)

    def _one(self, table: Any, row_id: str) -> Row[Any]:
        with self.store.read() as connection:
            return connection.execute(select(table).where(table.c.id == row_id)).one()

    def booked(self, edit_id: str | None, kind: str) -> dict[str, int]:
        """Return the journal's amounts by ledger account."""
        entries = schema.entries.c
        found = select(entries.account, entries.amount).where(
            entries.edit_id.is_not_distinct_from(edit_id), entries.kind == kind
        )
        with self.store.read() as connection:
            return dict(connection.execute(found).all())

    def count(self, table: Any) -> int:
        with self.store.read() as connection:
            return len(connection.execute(select(table)).all())
