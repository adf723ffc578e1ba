"""The running services: each tells every second that it lives, and sweeps after the dead."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from sqlalchemy import bindparam, delete, insert, update

from server.accounts.schema import instances
from server.accounts.store import Store
from server.accounts.sweeper import HOLD_TTL_MS, sweep
from server.domain import EditError

logger = logging.getLogger("imageedit.accounts")

INTERVAL_MS = 1_000
# After the database was away nobody has a fresh heartbeat; everyone gets the time to give one.
GRACE_MS = 3_000
FORGET_AFTER_MS = 86_400_000

_BEAT = update(instances).where(instances.c.id == bindparam("by"))
_REGISTER = insert(instances)
_REMOVE = delete(instances).where(instances.c.id == bindparam("by"))
_FORGET = delete(instances).where(instances.c.heartbeat < bindparam("oldest"))


def _nothing() -> None:
    """Stand in for what nobody left unfinished."""


class Heart:
    """The heartbeat of one instance, `owner`, and its sweeper, in one thread.

    `clock` returns Unix milliseconds, `new_id` a fresh UUID; `hold_ttl_ms` is as for `sweep`;
    `finish` is what to do at each beat that the database takes.
    """

    def __init__(
        self,
        store: Store,
        *,
        owner: str,
        clock: Callable[[], int],
        new_id: Callable[[], str],
        interval_ms: int = INTERVAL_MS,
        hold_ttl_ms: int = HOLD_TTL_MS,
        finish: Callable[[], None] = _nothing,
    ) -> None:
        self._store = store
        self._finish = finish
        self._owner = owner
        self._clock = clock
        self._new_id = new_id
        self._interval = timedelta(milliseconds=interval_ms).total_seconds()
        self._hold_ttl_ms = hold_ttl_ms
        self._steady_since: int | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heart", daemon=True)

    def start(self) -> None:
        """Register, so that holds may be taken, and go on in a thread.

        Raises `EditError` when the database can't be used.
        """
        self.beat()
        with self._store.write() as connection:
            connection.execute(_FORGET, {"oldest": self._clock() - FORGET_AFTER_MS})
        self._thread.start()

    def beat(self) -> None:
        """Tell that the instance lives; raises `EditError` when the database can't be used."""
        now = self._clock()
        with self._store.write(durable=False) as connection:
            if connection.execute(_BEAT, {"by": self._owner, "heartbeat": now}).rowcount == 0:
                connection.execute(_REGISTER, {"id": self._owner, "heartbeat": now})
        if self._steady_since is None:
            self._steady_since = now

    def tick(self) -> int:
        """Beat, then sweep where the database has been there for a while; return how many ended.

        A database that is away is logged, not raised.
        """
        try:
            self.beat()
            self._finish()
            since = self._steady_since
            if since is None or self._clock() - since < GRACE_MS:
                return 0
            return sweep(self._store, self._clock, self._new_id, hold_ttl_ms=self._hold_ttl_ms)
        except EditError:
            if self._steady_since is not None:
                logger.warning("heartbeat missed", extra={"line": {"event": "heartbeat missed"}})
            self._steady_since = None
            return 0

    def close(self) -> None:
        """Stop, and be known as gone: what is still under way may be swept from now on."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()
        with suppress(EditError), self._store.write() as connection:
            connection.execute(_REMOVE, {"by": self._owner})

    def _run(self) -> None:
        while not self._stopped.wait(self._interval):
            try:
                self.tick()
            except Exception:  # without a heartbeat every edit here would be swept
                logger.exception("bug", extra={"line": {"event": "bug", "where": "heart"}})
