"""What an account has: its balance, and the credit added to it or taken back."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import BigInteger, Connection, bindparam, cast, func, select, update

from server.accounts import journal
from server.accounts.schema import accounts, keys

MOST = 10**17  # a hundred million dollars at once is a slip of the hand
_NANOS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Balance:
    """Nano-dollars: paid in less spent, the part of it in holds, and what was spent."""

    posted: int
    held: int
    spent: int


_TOP_UP = (
    update(accounts)
    .where(
        accounts.c.id == bindparam("account"),
        accounts.c.posted - accounts.c.held + bindparam("amount") >= 0,
    )
    .values(posted=accounts.c.posted + bindparam("amount"))
)
_SPENT = (
    select(cast(func.coalesce(func.sum(keys.c.spent), 0), BigInteger))
    .where(keys.c.account_id == accounts.c.id)
    .scalar_subquery()
)
_BALANCE = select(accounts.c.posted, accounts.c.held, _SPENT).where(
    accounts.c.id == bindparam("account")
)


def top_up(
    connection: Connection, account_id: str, amount: int, *, event_id: str, now: int
) -> None:
    """Add nano-dollars to an account, or take from it where `amount` is negative.

    Raises `ValueError` for more than is free, for no such account, and for amounts that can't be
    meant.
    """
    if abs(amount) > MOST:
        raise ValueError(f"at most {dollars(MOST)} at once")
    asked = {"account": account_id, "amount": amount}
    if connection.execute(_TOP_UP, asked).rowcount == 0:
        raise ValueError("no such account, or more than it has free")
    journal.book(
        connection,
        journal.Event(event_id, "top_up", now),
        {journal.customer(account_id): amount, journal.FUNDING: -amount},
    )


def balance(connection: Connection, account_id: str) -> Balance:
    """Return an account's balance; raises `KeyError` when there is no such account."""
    row = connection.execute(_BALANCE, {"account": account_id}).first()
    if row is None:
        raise KeyError(account_id)
    return Balance(*row)


def dollars(nanos: int) -> str:
    """Return nano-dollars in words: at least two decimals, exact, such as "$0.2276"."""
    whole, rest = divmod(abs(nanos), _NANOS)
    decimals = f"{rest:09d}".rstrip("0").ljust(2, "0")
    return f"{'-' if nanos < 0 else ''}${whole}.{decimals}"
