"""Keys: made once, stored as a digest, looked up at every call; none is remembered in between."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from sqlalchemy import Connection, Row, bindparam, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from server.accounts import key_format
from server.accounts.schema import accounts, keys
from server.accounts.store import Store
from server.domain import EditError, Situation

DEFAULT_RATE_LIMIT = 60
DEFAULT_CONCURRENCY = 16


@dataclass(frozen=True, slots=True)
class Key:
    """What is known of a key. `created`, `ends` and `revoked` are Unix milliseconds.

    `hint` is what people recognise it by, its first and last characters. `models` are the aliases
    it may use, `None` for all. `rate_limit` is requests a minute, `concurrency` edits at once,
    `spend_limit` nano-dollars that it may ever spend.
    """

    id: str
    account_id: str
    hint: str
    name: str
    created: int
    ends: int | None
    revoked: int | None
    models: tuple[str, ...] | None
    rate_limit: int
    concurrency: int
    spend_limit: int | None

    def lives(self, now: int) -> bool:
        """Tell whether it is neither revoked nor ended at `now`."""
        return self.revoked is None and (self.ends is None or now < self.ends)


_FACTS = [keys.c[name] for name in Key.__dataclass_fields__]
_BY_DIGEST = select(*_FACTS).where(keys.c.digest == bindparam("digest"))
_BY_ID = select(*_FACTS).where(keys.c.id == bindparam("id"))


class Keys:
    """The keys in the store. `clock` returns Unix milliseconds, `new_id` a new UUID."""

    def __init__(self, store: Store, clock: Callable[[], int], new_id: Callable[[], str]) -> None:
        self._store = store
        self._clock = clock
        self._new_id = new_id

    def create(
        self,
        name: str,
        *,
        account_id: str | None = None,
        rate_limit: int = DEFAULT_RATE_LIMIT,
        concurrency: int = DEFAULT_CONCURRENCY,
        models: Collection[str] | None = None,
        spend_limit: int | None = None,
        ends: int | None = None,
    ) -> tuple[Key, str]:
        """Make a key; return what is known of it, and the key itself, for the only time.

        Without `account_id` it opens an account of its own. Raises `LookupError` for an account
        that is not there.
        """
        now = self._clock()
        key = Key(
            id="",
            account_id=account_id or self._new_id(),
            hint="",
            name=name,
            created=now,
            ends=ends,
            revoked=None,
            models=None if models is None else tuple(dict.fromkeys(models)),
            rate_limit=rate_limit,
            concurrency=concurrency,
            spend_limit=spend_limit,
        )
        try:
            with self._store.write() as connection:
                if account_id is None:
                    opened = {"id": key.account_id, "created": now, "posted": 0, "held": 0}
                    connection.execute(insert(accounts).values(opened))
                return self._insert(connection, key)
        except IntegrityError:
            raise LookupError(f'There is no account with the id "{account_id}".') from None

    def check(self, secret: str | None) -> Key:
        """Return the live key `secret`; raises `invalid_key()` whatever else it is.

        One read by index; what has not the form of a key is refused without asking the store.
        """
        if secret is None or not key_format.is_well_formed(secret):
            raise invalid_key()
        with self._store.read() as connection:
            row = connection.execute(
                _BY_DIGEST, {"digest": key_format.digest(secret)}
            ).one_or_none()
        if row is None or not (key := _key(row)).lives(self._clock()):
            raise invalid_key()
        return key

    def find(self, key_id: str) -> Key:
        """Return a key, live or not, by its id; raises `LookupError`."""
        with self._store.read() as connection:
            return _find(connection, key_id)

    def list(self) -> list[Key]:
        """Return all keys, the oldest first."""
        statement = select(*_FACTS).order_by(keys.c.created, keys.c.id)
        with self._store.read() as connection:
            return [_key(row) for row in connection.execute(statement)]

    def revoke(self, key_id: str) -> bool:
        """End a key for every process at once; tell whether it was not revoked yet."""
        statement = (
            update(keys)
            .where(keys.c.id == key_id, keys.c.revoked.is_(None))
            .values(revoked=self._clock())
        )
        with self._store.write() as connection:
            return connection.execute(statement).rowcount == 1

    def rotate(self, key_id: str, *, overlap_ms: int) -> tuple[Key, str]:
        """Replace a live key by a new one; return what is known of that, and the key itself.

        The new key has the account, name, limits and end of the old one, which ends after
        `overlap_ms`; its spending counts from 0. Raises `LookupError` where no such key lives.
        """
        now = self._clock()
        with self._store.write() as connection:
            old = _find(connection, key_id)
            until = now + overlap_ms if old.ends is None else min(old.ends, now + overlap_ms)
            # Guarded in the statement: of two rotations at once, the second finds another end.
            shortened = connection.execute(
                update(keys)
                .where(
                    keys.c.id == key_id,
                    keys.c.revoked.is_(None),
                    or_(keys.c.ends.is_(None), keys.c.ends > now),
                    keys.c.ends.is_not_distinct_from(old.ends),
                )
                .values(ends=until)
            )
            if shortened.rowcount == 0:
                raise LookupError(f'There is no live key with the id "{key_id}".')
            return self._insert(connection, replace(old, created=now))

    def _insert(self, connection: Connection, facts: Key) -> tuple[Key, str]:
        secret = key_format.new_key()
        key = replace(facts, id=self._new_id(), hint=f"{secret[:7]}…{secret[-4:]}")
        stored = {name: getattr(key, name) for name in Key.__dataclass_fields__} | {
            "models": None if key.models is None else json.dumps(key.models),
            "digest": key_format.digest(secret),
            "spent": 0,
            "held": 0,
            "active": 0,
        }
        connection.execute(insert(keys).values(stored))
        return key, secret


def invalid_key() -> EditError:
    """Return the one answer to a key that is missing, malformed, unknown, revoked or ended."""
    return EditError(
        Situation.INVALID_KEY,
        "The API key is missing or not valid. Send it as `Authorization: Bearer KEY`.",
    )


def may_use(key: Key, model: str) -> None:
    """Raise `EditError` (FORBIDDEN) unless `key` may use the model with the alias `model`."""
    if key.models is not None and model not in key.models:
        allowed = ", ".join(key.models) or "none"
        raise EditError(
            Situation.FORBIDDEN,
            f'This key may not use the model "{model[:100]}"; models it may use: {allowed}.',
            field="model",
        )


def _find(connection: Connection, key_id: str) -> Key:
    row = connection.execute(_BY_ID, {"id": key_id}).one_or_none()
    if row is None:
        raise LookupError(f'There is no key with the id "{key_id}".')
    return _key(row)


def _key(row: Row[tuple[object, ...]]) -> Key:
    values = dict(row._mapping)
    if values["models"] is not None:
        values["models"] = tuple(json.loads(values["models"]))
    return Key(**values)
