"""Stored results: what a finished edit answered, kept for a while to be given again.

The facts are in the database, committed together with the settlement. So are the pictures where
several machines share it, for each of them must find all. Beside an SQLite file they are files: in
it, each would be written twice, to its log and then to itself.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select

from server.accounts.picture_files import PictureFiles
from server.accounts.schema import claims, edits, results
from server.accounts.store import Store

logger = logging.getLogger("imageedit.accounts")

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
_STORED = select(results.c.edit_id)
_UNDER_WAY = select(edits.c.id).where(edits.c.ended.is_(None))
_INSERT = insert(results)
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
        self._files = PictureFiles.beside(store)

    def keep(
        self, edit_id: str, facts: Mapping[str, object], picture: bytes, keep_ms: int
    ) -> Callable[[Connection], None]:
        """Return what keeps an edit's answer for `keep_ms` in the transaction that settles it.

        `facts` must be JSON. A picture's file is written now, so that nobody's commit waits for it.
        """
        document = json.dumps(facts)
        row = {
            "edit_id": edit_id,
            "facts": document,
            "picture": b"" if self._filed(edit_id, picture) else picture,
            "bytes": len(picture) + len(document),
        }

        def insert_row(connection: Connection) -> None:
            now = self._clock()
            connection.execute(_INSERT, row | {"created": now, "expires": now + keep_ms})

        return insert_row

    def _filed(self, edit_id: str, picture: bytes) -> bool:
        """Write a picture's file, where there are files; `False` where it must go into the row."""
        if self._files is None:
            return False
        try:
            self._files.write(edit_id, picture)
        except OSError as error:
            line = {"event": "picture not written", "edit_id": edit_id, "why": type(error).__name__}
            logger.warning("picture not written", extra={"line": line})
            return False
        return True

    def load(self, edit_id: str) -> Stored | None:
        """Return an edit's answer, `None` when it is not kept any more."""
        with self._store.read() as connection:
            row = connection.execute(
                _LOAD, {"edit_id": edit_id, "now": self._clock()}
            ).one_or_none()
        if row is None:
            return None
        picture = row.picture
        if not picture and self._files is not None:
            picture = self._files.read(edit_id)
        return None if picture is None else Stored(json.loads(row.facts), picture)

    def drop(self, edit_id: str) -> None:
        """Delete the file of an edit whose row is deleted."""
        if self._files is not None:
            self._files.delete([edit_id])

    def purge(self, now: int) -> None:
        """Delete what expired by `now`, then the oldest results that the quota has no room for.

        Expired idempotency keys go too, and files that a crash left without a row. Edits and the
        journal stay. Several processes may purge at once.
        """
        with self._store.write(durable=False) as connection:
            connection.execute(_DELETE_CLAIMS, {"oldest": now - KEYED_MS})
        with self._store.read() as connection:
            doomed = list(connection.scalars(_EXPIRED, {"now": now}))
        self._delete(doomed)
        with self._store.read() as connection:
            doomed = list(connection.scalars(_OVER_QUOTA, {"quota": self._quota}))
        self._delete(doomed)
        self._delete_strays()

    def _delete(self, edit_ids: list[str]) -> None:
        for start in range(0, len(edit_ids), BATCH):
            batch = edit_ids[start : start + BATCH]
            with self._store.write(durable=False) as connection:
                connection.execute(_DELETE, {"edit_ids": batch})
            if self._files is not None:
                self._files.delete(batch)

    def _delete_strays(self) -> None:
        # Listed first: who writes one meanwhile has a row, or is under way, when that is looked at.
        if self._files is None or not (strays := self._files.all()):
            return
        with self._store.read() as connection:
            for wanted in (_UNDER_WAY, _STORED):  # in this order an edit goes from one to the other
                strays.difference_update(connection.scalars(wanted))
        self._files.delete(strays)
