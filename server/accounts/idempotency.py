"""Idempotency: which earlier edit a request repeats, and what that one answered.

A request repeats an original when it has the original's idempotency key, or when it is an SDK's
automatic retry of the same content. First attempts are never merged: parallel identical requests
are how variants are made.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from sqlalchemy import Connection, bindparam, exists, insert, or_, select, true, update
from sqlalchemy.exc import IntegrityError

from server.accounts.idempotency_key import HEADER, read_key
from server.accounts.originals import (
    POSTED,
    REPEATABLE,
    OriginalFailed,
    Originals,
    Replay,
    Waiter,
)
from server.accounts.results import KEYED_MS, UNKEYED_MS, Results
from server.accounts.retries import Retries
from server.accounts.schema import claims, edits
from server.accounts.store import Store
from server.domain import EditError, Situation

__all__ = ["ClaimTaken", "Idempotency", "OriginalFailed", "Replay", "Waiter"]

# A definite failure gives its key back. An unknown outcome keeps it, for the vendor may have billed
# it, unless a crash or an operator's stop left it open.
_gave_back = (edits.c.state == "voided") | (
    (edits.c.state == "unknown") & edits.c.outcome.in_(REPEATABLE)
)
_FIND = select(claims.c.fingerprint, claims.c.edit_id, _gave_back.label("gave_back")).where(
    claims.c.edit_id == edits.c.id,
    claims.c.account_id == bindparam("account_id"),
    claims.c.key == bindparam("key"),
    claims.c.created > bindparam("oldest"),
)
# Who comes second waits for the first one's commit, and then this row is no longer what it was.
_TAKE_OVER = (
    update(claims)
    .where(
        claims.c.account_id == bindparam("of_account"),
        claims.c.key == bindparam("of_key"),
        or_(
            claims.c.created <= bindparam("oldest"),
            (claims.c.fingerprint == bindparam("asked"))
            & exists().where(edits.c.id == claims.c.edit_id, _gave_back),
        ),
    )
    .values(fingerprint=bindparam("asked"), edit_id=bindparam("by"), created=bindparam("now"))
)
_CONFIRM = (
    update(edits)
    .where(edits.c.id == bindparam("edit_id"), edits.c.account_id == bindparam("of_account"))
    .values(delivered=true())
)


class ClaimTaken(Exception):
    """Another request claimed the idempotency key meanwhile; `begin` says what to do now."""


class Idempotency:
    """The claims in the store. `clock` returns Unix milliseconds, `pause` waits for seconds."""

    def __init__(
        self,
        store: Store,
        results: Results,
        *,
        clock: Callable[[], int],
        pause: Callable[[float], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._originals = Originals(store, results, pause)
        self._retries = Retries(store, clock)

    def knows(self, account_id: str, key: str | None) -> bool:
        """Tell whether an edit is stored under `key`, the header's value as it came."""
        return key is not None and self._find(account_id, read_key(key)) is not None

    def claim(
        self, connection: Connection, account_id: str, key: str, fingerprint: str, edit_id: str
    ) -> None:
        """Let `key` stand for a new edit, in the transaction that takes its hold.

        Raises `ClaimTaken` where the key stands for another edit, one that did not give it back
        and is not older than 24 hours, and `EditError` for a malformed key; the transaction must
        then roll back.
        """
        now = self._clock()
        key = read_key(key)
        claim = {"of_account": account_id, "of_key": key, "asked": fingerprint}
        times = {"oldest": now - KEYED_MS, "now": now}
        if connection.execute(_TAKE_OVER, claim | times | {"by": edit_id}).rowcount == 1:
            return
        row = {"account_id": account_id, "key": key, "fingerprint": fingerprint}
        try:
            connection.execute(insert(claims), row | {"edit_id": edit_id, "created": now})
        except IntegrityError as error:
            raise ClaimTaken from error

    def keep_ms(self, key: str | None) -> int:
        """Return for how many milliseconds a result is kept."""
        return UNKEYED_MS if key is None else KEYED_MS

    def confirm(self, account_id: str, *edit_ids: str) -> None:
        """Note that the caller has the answers of the edits, as far as they are the account's."""
        with self._store.write(durable=False) as connection:
            # In one order, so that two who confirm the same edits never wait for each other.
            rows = [{"of_account": account_id, "edit_id": one} for one in sorted(edit_ids)]
            connection.execute(_CONFIRM, rows)

    def by_key(
        self, account_id: str, key: str, request_fingerprint: str, retry_count: int, waiter: Waiter
    ) -> Replay | None:
        """Return the stored answer of the edit under `key`; `None`: the request runs as new.

        `key` is the header's value as it came, `retry_count` what the SDK says in
        x-stainless-retry-count, 0 for a first attempt. An original that is under way is waited for.
        Raises `OriginalFailed` with the original's error, and `EditError` for a malformed key
        (BAD_REQUEST), one that stands for another request (IDEMPOTENCY_REUSED), and when `waiter`
        leaves or runs out of time (CANCELLED, UPSTREAM_TIMEOUT).
        """
        claim = self._find(account_id, read_key(key))
        if claim is None:
            return None
        if claim.fingerprint != request_fingerprint:
            raise EditError(
                Situation.IDEMPOTENCY_REUSED,
                f"This {HEADER} was used for another request within 24 hours; use a new one.",
                field=HEADER,
            )
        # What gave its key back runs anew when asked for anew; an automatic retry gets the error
        # that it missed.
        if claim.gave_back and not self._missed(claim.edit_id, retry_count):
            return None
        original = self._originals.ended(claim.edit_id, waiter)
        replay = self._originals.answer(original)
        if replay is None and original.state == POSTED:
            raise EditError(
                Situation.BAD_REQUEST,
                f"The edit under this {HEADER} is done and paid, but its picture had to make room"
                " for later ones; use a new key to edit again.",
                field=HEADER,
            )
        return replay

    def by_content(
        self,
        account_id: str,
        request_fingerprint: str,
        retry_count: int,
        waiter: Waiter,
        *,
        others: Collection[str] | None = None,
    ) -> Replay | None:
        """Return the stored answer of the edit that an automatic retry without a key repeats.

        `None`: it runs as new. `others` are edits that other callers surely wait for; where they
        are given, what seems delivered is not taken either. Raises as `by_key` does.
        """
        edit_id = self._retries.take_any(
            account_id, request_fingerprint, retry_count, others=others
        )
        if edit_id is None:
            return None
        original = self._originals.ended(edit_id, waiter)
        replay = self._originals.answer(original)
        if replay is None:
            self._retries.spend(edit_id)
        return replay

    def _find(self, account_id: str, key: str) -> Any | None:
        asked = {"account_id": account_id, "key": key, "oldest": self._clock() - KEYED_MS}
        with self._store.read() as connection:
            return connection.execute(_FIND, asked).one_or_none()

    def _missed(self, edit_id: str, retry_count: int) -> bool:
        return retry_count > 0 and self._retries.take(edit_id, retry_count)
