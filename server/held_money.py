"""How much of all accounts' money is in holds, asked without ever waiting long for the database."""

from __future__ import annotations

from threading import Event, Lock, Thread

from sqlalchemy import func, select

from server.accounts.schema import accounts
from server.accounts.store import Store
from server.domain import EditError

PATIENCE = 1.0
"""Seconds that a scrape may wait: a database that hangs must not take the other numbers along."""
_HELD = select(func.coalesce(func.sum(accounts.c.held), 0))


class HeldMoney:
    """Asks `store` in a thread; one question at a time."""

    def __init__(self, store: Store, patience: float = PATIENCE) -> None:
        self._store = store
        self._patience = patience
        self._asking = Lock()

    def read(self) -> int | None:
        """Return nano-dollars; `None` when the database did not tell them in time."""
        if not self._asking.acquire(blocking=False):
            return None
        told: list[int] = []
        done = Event()

        def ask() -> None:
            try:
                with self._store.read() as connection:
                    told.append(int(connection.execute(_HELD).scalar_one()))
            except EditError:
                pass
            finally:
                self._asking.release()
                done.set()

        Thread(target=ask, name="held money", daemon=True).start()
        done.wait(self._patience)
        return told[0] if told else None
