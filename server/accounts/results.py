"""Stored results: what a finished edit answered, kept for a while to be given again.

In the database, because a result must be committed together with its settlement, and because
every host must find it. SQLite gives the pages of deleted results to later ones, so its file stays
as large as the quota and a minute's results; vacuuming would copy pictures about for nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select

from server.accounts.schema import claims, results
from server.accounts.store import Store

KEYED_MS = 24 * 60 * 60 * 1000  # how long a result is kept under an idempotency key, and the key
UNKEYED_MS = 10 * 60 * 1000  # how long without one
QUOTA_BYTES = 2 * 1024**3
# Deleting a picture touches each of its pages, and holds wait meanwhile: a few at a time.
BATCH = 8

_LOAD = select(results.c.facts, results.c.picture).where(
    results.c.edit_id == bindparam("edit_id"), results.c.expires > bindparam("now")
)
_EXPIRED = select(results.c.edit_id).where(results.c.expires <= bindparam("now"))
_newer = (
    func.sum(results.c.bytes)
    .over(order_by=(results.c.created.desc(), results.c.edit_id.desc()))
    .label("newer")  # bytes of this result and of all that are newer
)
_totals = select(results.c.edit_id, _newer).subquery()
_OVER_QUOTA = select(_totals.c.edit_id).where(_totals.c.newer > bindparam("quota"))
_DELETE = delete(results).where(results.c.edit_id.in_(bindparam("edit_ids", expanding=True)))
_DELETE_CLAIMS = delete(claims).where(claims.c.created <= bindparam("oldest"))


@dataclass(frozen=True, slots=True)
class Stored:
    """An answer: the facts as they were stored, and the picture's file."""

    facts: Mapping[str, Any]
    picture: bytes


class Results:
    """The results in the store. `clock` returns Unix milliseconds, `quota` is bytes in all."""

    def __init__(self, store: Store, *, clock: Callable[[], int], quota: int = QUOTA_BYTES) -> None:
        self._store = store
        self._clock = clock
        self._quota = quota

    def store_result(
        self,
        connection: Connection,
        edit_id: str,
        facts: Mapping[str, object],
        picture: bytes,
        keep_ms: int,
    ) -> None:
        """Keep an edit's answer for `keep_ms`, in the transaction that settles the edit.

        `facts` must be JSON.
        """
        document = json.dumps(facts)
        now = self._clock()
        connection.execute(
            insert(results),
            {
                "edit_id": edit_id,
                "facts": document,
                "picture": picture,
                "bytes": len(picture) + len(document),
                "created": now,
                "expires": now + keep_ms,
            },
        )

    def load(self, edit_id: str) -> Stored | None:
        """Return an edit's answer, `None` when it is not kept any more."""
        with self._store.read() as connection:
            row = connection.execute(
                _LOAD, {"edit_id": edit_id, "now": self._clock()}
            ).one_or_none()
        return None if row is None else Stored(json.loads(row.facts), row.picture)

    def purge(self, now: int) -> None:
        """Delete what expired by `now`, then the oldest results that the quota has no room for.

        Expired idempotency keys go too. Edits and the journal stay. Several processes may purge at
        once.
        """
        with self._store.write() as connection:
            connection.execute(_DELETE_CLAIMS, {"oldest": now - KEYED_MS})
        with self._store.read() as connection:
            doomed = list(connection.scalars(_EXPIRED, {"now": now}))
        self._delete(doomed)
        with self._store.read() as connection:
            doomed = list(connection.scalars(_OVER_QUOTA, {"quota": self._quota}))
        self._delete(doomed)

    def _delete(self, edit_ids: list[str]) -> None:
        for start in range(0, len(edit_ids), BATCH):
            with self._store.write() as connection:
                connection.execute(_DELETE, {"edit_ids": edit_ids[start : start + BATCH]})
