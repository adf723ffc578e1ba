"""The journal: a movement of money is one event, whose amounts sum to 0. Nothing is changed later.

An amount of more is what a ledger account gains: a customer's free credit, a hold, the operator's
revenue, what upstreams are owed (negative), and what was lost to them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, insert

from server.accounts.schema import entries

FUNDING = "funding"
REVENUE = "revenue"
PAYABLE = "payable"
LOSS_UNKNOWN_OUTCOME = "loss_unknown_outcome"
LOSS_OVERRUN = "loss_overrun"

_BOOK = insert(entries)


@dataclass(frozen=True, slots=True)
class Event:
    """One movement; `kind` is top_up, hold, post, void or unknown, `created` Unix milliseconds."""

    id: str
    kind: str
    created: int
    edit_id: str | None = None


def customer(account_id: str) -> str:
    """Return the ledger account of what an account has free."""
    return f"customer:{account_id}"


def held(account_id: str) -> str:
    """Return the ledger account of what an account has in holds."""
    return f"held:{account_id}"


def book(connection: Connection, event: Event, amounts: Mapping[str, int]) -> None:
    """Write an event: nano-dollars by ledger account; zeros are left out.

    Raises `ValueError` when the amounts do not sum to 0.
    """
    if sum(amounts.values()) != 0:
        raise ValueError(f"the amounts of a {event.kind} do not sum to 0: {dict(amounts)}")
    rows = [
        {
            "event": event.id,
            "kind": event.kind,
            "edit_id": event.edit_id,
            "account": account,
            "amount": amount,
            "created": event.created,
        }
        for account, amount in amounts.items()
        if amount
    ]
    if rows:
        connection.execute(_BOOK, rows)
