"""Keys: made once, stored as a digest, looked up at every call."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Engine, Row, insert, select, update

from server.accounts import key_format
from server.accounts.store import keys
from server.domain import EditError, Situation

DEFAULT_RATE_LIMIT = 60


@dataclass(frozen=True, slots=True)
class Key:
    """What is known of a key. `created` and `revoked` are Unix seconds.

    `hint` is what people recognise it by, its first and last characters; `credit_nanos` is its
    opening balance in nano-dollars, `rate_limit` its requests a minute.
    """

    id: str
    hint: str
    name: str
    created: float
    revoked: float | None
    credit_nanos: int
    rate_limit: int


class Keys:
    """The keys in the store. `clock` returns Unix seconds."""

    def __init__(self, engine: Engine, clock: Callable[[], float]) -> None:
        self._engine = engine
        self._clock = clock

    def create(
        self, name: str, *, credit_nanos: int = 0, rate_limit: int = DEFAULT_RATE_LIMIT
    ) -> tuple[Key, str]:
        """Make a key; return what is known of it, and the key itself, for the only time."""
        secret = key_format.new_key()
        row = Key(
            id=str(uuid.uuid4()),
            hint=f"{secret[:7]}…{secret[-4:]}",
            name=name,
            created=self._clock(),
            revoked=None,
            credit_nanos=credit_nanos,
            rate_limit=rate_limit,
        )
        with self._engine.begin() as connection:
            connection.execute(
                insert(keys).values(
                    id=row.id,
                    digest=key_format.digest(secret),
                    hint=row.hint,
                    name=row.name,
                    created=row.created,
                    credit_nanos=row.credit_nanos,
                    rate_limit=row.rate_limit,
                )
            )
        return row, secret

    def check(self, secret: str | None) -> Key:
        """Return the live key `secret`; raises `EditError` (INVALID_KEY), the same for every cause.

        A malformed key is refused without asking the store.
        """
        if secret is not None and key_format.is_well_formed(secret):
            statement = select(keys).where(keys.c.digest == key_format.digest(secret))
            with self._engine.connect() as connection:
                row = connection.execute(statement).one_or_none()
            if row is not None and row.revoked is None:
                return _key(row)
        raise EditError(
            Situation.INVALID_KEY,
            "The API key is missing or not valid. Send it as `Authorization: Bearer KEY`.",
        )

    def list(self) -> list[Key]:
        """Return all keys, the oldest first."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(keys).order_by(keys.c.created, keys.c.id)).all()
        return [_key(row) for row in rows]

    def revoke(self, key_id: str) -> bool:
        """End a key for every process at once; tell whether it was live."""
        statement = (
            update(keys)
            .where(keys.c.id == key_id, keys.c.revoked.is_(None))
            .values(revoked=self._clock())
        )
        with self._engine.begin() as connection:
            return connection.execute(statement).rowcount == 1


def _key(row: Row[tuple[object, ...]]) -> Key:
    values = row._mapping
    return Key(
        **{
            name: values[name]
            for name in ("id", "hint", "name", "created", "revoked", "credit_nanos", "rate_limit")
        }
    )
