"""The writers of an SQLite file: one at a time, and who waits joins the transaction of who writes.

A commit costs a wait for the disk, which is most of what a small transaction costs. So several
share one: each has its part of it, which is undone alone where it fails, and nobody goes on before
the whole is committed. Where nobody waits, each has a transaction to itself.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine

MOST = 32
"""Parts of one transaction: the first must not wait for a queue that never ends."""


class NotCommitted(Exception):
    """Nothing of this was stored: the transaction that it was a part of failed."""


class Writers:
    """Who writes to the file of `engine`. Shared by all threads.

    SQLite's own waiting is by sleeping and trying, which starves some: threads queue here instead.
    """

    def __init__(self, engine: Engine) -> None:
        # SQLite must take its write lock at the begin: a read that turns into a write can't wait.
        self._lasting = engine.execution_options(immediate=True, synchronous="FULL")
        self._passing = engine.execution_options(immediate=True, synchronous="NORMAL")
        self._turn = threading.Lock()
        self._counting = threading.Lock()
        self._waiting = 0
        self._open: _Transaction | None = None  # for who has the turn

    @contextmanager
    def write(self, *, durable: bool) -> Iterator[Connection]:
        """Yield a connection in a transaction, and return once that is committed.

        What is raised inside undoes what was written inside, and nothing else. A commit that is not
        `durable` outlives the process; the next durable one makes it outlive the power too. Raises
        `NotCommitted`, and what SQLAlchemy raises.
        """
        with self._counting:
            self._waiting += 1
        joined = None
        try:
            with self._turn:
                with self._counting:
                    self._waiting -= 1
                joined = self._join(durable)
                try:
                    with joined.part() as connection:
                        yield connection
                finally:
                    # Who is counted comes next, and ends the transaction at the latest.
                    if not self._waiting or joined.parts == MOST or joined.failure is not None:
                        self._end()
        finally:
            # Also where it failed: what it read there may not be told before it is committed.
            if joined is not None:
                joined.ended.wait()
        if joined.failure is not None:
            raise NotCommitted from joined.failure

    def _join(self, durable: bool) -> _Transaction:
        """Return the open transaction, or a new one where that promises less than is wanted."""
        if self._open is not None and durable and not self._open.durable:
            self._end()
        if self._open is None:
            engine = self._lasting if durable else self._passing
            self._open = _Transaction(engine.connect(), durable)
        return self._open

    def _end(self) -> None:
        if self._open is not None:
            ending, self._open = self._open, None
            ending.end()


class _Transaction:
    """One transaction on `connection`, of some `parts`; `failure` is why it was not committed."""

    def __init__(self, connection: Connection, durable: bool) -> None:
        self.durable = durable
        self.parts = 0
        self.ended = threading.Event()
        self.failure: BaseException | None = None
        self._connection = connection

    @contextmanager
    def part(self) -> Iterator[Connection]:
        """Yield the connection; what is raised inside undoes this part."""
        self.parts += 1
        alone = not self._connection.in_transaction()  # all before it failed, if any
        if alone:
            self._begin()
        try:
            if not alone:
                self._connection.exec_driver_sql("SAVEPOINT part")
            yield self._connection
            if not alone:
                self._connection.exec_driver_sql("RELEASE part")
        except BaseException:
            self._undo(alone)
            raise

    def _begin(self) -> None:
        try:
            self._connection.begin()
        except BaseException as error:  # which took its time: nobody is to wait for the next try
            self.failure = error
            raise

    def _undo(self, alone: bool) -> None:
        self.failure = NotCommitted()  # as long as it is not undone, and so where that is cut off
        try:
            if alone:
                self._connection.rollback()
            else:
                self._connection.exec_driver_sql("ROLLBACK TO part")
                self._connection.exec_driver_sql("RELEASE part")
        except Exception as error:  # noqa: BLE001 -- after some errors SQLite has undone all of it
            self.failure = error
        else:
            self.failure = None

    def end(self) -> None:
        """Commit, or roll back where a part could not be undone alone; raises no `Exception`."""
        try:
            if self.failure is None:
                self._connection.commit()
        except Exception as error:  # noqa: BLE001 -- for every part to raise
            self.failure = error
        except BaseException as error:
            self.failure = error
            raise
        finally:
            self._leave()

    def _leave(self) -> None:
        try:
            if self.failure is not None:
                self._connection.invalidate()  # whatever it is in the middle of ends with it
            self._connection.close()
        finally:
            self.ended.set()  # whatever happens, or all would wait for ever
