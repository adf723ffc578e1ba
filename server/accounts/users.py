"""End users whose edits are refused, an account's own list."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, insert, select
from sqlalchemy.exc import IntegrityError

from server.accounts.schema import blocked_users
from server.accounts.store import Store

_ONE = select(blocked_users.c.created).where(
    blocked_users.c.account_id == bindparam("account_id"),
    blocked_users.c.user == bindparam("user"),
)


@dataclass(frozen=True, slots=True)
class BlockedUser:
    """An end user, as the requests' field `user` names them, and since when (Unix milliseconds)."""

    user: str
    created: int


class Users:
    """The blocked end users in the store. `clock` returns Unix milliseconds."""

    def __init__(self, store: Store, clock: Callable[[], int]) -> None:
        self._store = store
        self._clock = clock

    def block(self, account_id: str, user: str) -> bool:
        """Refuse a user's edits in every process at once; tell whether that is new."""
        values = {"account_id": account_id, "user": user, "created": self._clock()}
        try:
            with self._store.write() as connection:
                connection.execute(insert(blocked_users).values(values))
        except IntegrityError:
            if not self.is_blocked(account_id, user):
                raise  # there is no such account
            return False
        return True

    def unblock(self, account_id: str, user: str) -> bool:
        """Take a user's edits again; tell whether they were blocked."""
        statement = delete(blocked_users).where(
            blocked_users.c.account_id == account_id, blocked_users.c.user == user
        )
        with self._store.write() as connection:
            return connection.execute(statement).rowcount == 1

    def list(self, account_id: str) -> list[BlockedUser]:
        """Return an account's blocked users, by name."""
        statement = (
            select(blocked_users.c.user, blocked_users.c.created)
            .where(blocked_users.c.account_id == account_id)
            .order_by(blocked_users.c.user)
        )
        with self._store.read() as connection:
            return [BlockedUser(row.user, row.created) for row in connection.execute(statement)]

    def is_blocked(self, account_id: str, user: str) -> bool:
        """Tell whether a user's edits are refused; "" is nobody and asks nothing of the store."""
        if not user:
            return False
        with self._store.read() as connection:
            asked = connection.execute(_ONE, {"account_id": account_id, "user": user})
            return asked.one_or_none() is not None
