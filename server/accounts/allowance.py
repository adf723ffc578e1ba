"""What an account and a key allow: taken inside the statement, explained when it was refused.

The guards are conditions of the updates, so no number of parallel requests passes them.
"""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, or_, select, update

from server.accounts.credit import dollars
from server.accounts.keys import invalid_key
from server.accounts.schema import accounts, keys
from server.domain import EditError, Situation

RETRY_AFTER = 5  # seconds; edits take minutes, a place may come free at any moment

_KEY = (
    update(keys)
    .where(
        keys.c.id == bindparam("key"),
        keys.c.account_id == bindparam("account"),
        keys.c.revoked.is_(None),
        or_(keys.c.ends.is_(None), keys.c.ends > bindparam("now")),
        keys.c.active < keys.c.concurrency,
        or_(
            keys.c.spend_limit.is_(None),
            keys.c.spent + keys.c.held + bindparam("hold") <= keys.c.spend_limit,
        ),
    )
    .values(held=keys.c.held + bindparam("hold"), active=keys.c.active + 1)
)
_ACCOUNT = (
    update(accounts)
    .where(
        accounts.c.id == bindparam("account"),
        accounts.c.posted - accounts.c.held >= bindparam("hold"),
    )
    .values(held=accounts.c.held + bindparam("hold"))
)
_FREE = select(accounts.c.posted - accounts.c.held).where(accounts.c.id == bindparam("account"))
_LIMITS = select(
    keys.c.revoked, keys.c.ends, keys.c.concurrency, keys.c.spend_limit, keys.c.spent, keys.c.held
).where(keys.c.id == bindparam("key"), keys.c.account_id == bindparam("account"))


def take(connection: Connection, account_id: str, key_id: str, hold: int, now: int) -> None:
    """Hold nano-dollars of an account and a place of a key, at `now` (Unix milliseconds).

    Raises `EditError`: INVALID_KEY, LIMITED, or NO_CREDIT for the key's limit and the balance.
    """
    # Keys before accounts, here and at the end of an edit: one order of locks, no deadlock.
    who: dict[str, str | int] = {"key": key_id, "account": account_id}
    if connection.execute(_KEY, who | {"hold": hold, "now": now}).rowcount == 0:
        raise _refusal(connection, who, hold, now)
    if connection.execute(_ACCOUNT, {"account": account_id, "hold": hold}).rowcount == 0:
        free = connection.execute(_FREE, {"account": account_id}).scalar() or 0
        raise EditError(
            Situation.NO_CREDIT,
            f"Not enough credit: this edit needs up to {dollars(hold)}, {dollars(free)} is left.",
        )


def _refusal(connection: Connection, asked: dict[str, str | int], hold: int, now: int) -> EditError:
    row = connection.execute(_LIMITS, {"key": asked["key"], "account": asked["account"]}).first()
    if row is None or row.revoked is not None or (row.ends is not None and row.ends <= now):
        return invalid_key()
    if row.spend_limit is not None and row.spent + row.held + hold > row.spend_limit:
        left = row.spend_limit - row.spent - row.held
        return EditError(
            Situation.NO_CREDIT,
            f"The spending limit of this key is reached: this edit needs up to {dollars(hold)},"
            f" {dollars(left)} of {dollars(row.spend_limit)} is left. The balance may hold more.",
        )
    return EditError(
        Situation.LIMITED,
        f"This key may have {row.concurrency} edits under way at a time; wait until one ends.",
        limit=f"{row.concurrency} concurrent edits",
        retry_after=RETRY_AFTER,
    )
