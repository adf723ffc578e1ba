"""Writers of one SQLite file share commits: all of it or, of a part that fails, nothing."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import event, select
from sqlalchemy.exc import OperationalError

from server.accounts.schema import instances
from server.accounts.store import Store, open_store
from server.accounts.writers import MOST
from server.domain import EditError, Situation
from tests.databases import migrated_sqlite
from tests.running import eventually

OTHERS = 5


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = open_store(migrated_sqlite(tmp_path))
    yield store
    store.close()


@pytest.fixture
def commits(store: Store) -> list[int]:
    """One number for each commit."""
    seen: list[int] = []
    event.listen(store.engine, "commit", lambda _connection: seen.append(len(seen)))
    return seen


def write(store: Store, name: str, *, durable: bool = True) -> None:
    with store.write(durable=durable) as connection:
        connection.execute(instances.insert(), {"id": name, "heartbeat": 0})


def written(store: Store) -> set[str]:
    with store.read() as connection:
        return set(connection.scalars(select(instances.c.id)))


class Crowd:
    """Threads that write; `errors` are what they met, by name."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._threads: list[threading.Thread] = []
        self.errors: dict[str, BaseException] = {}
        self.done: list[str] = []

    def wait_in_line(self, names: list[str], act: Callable[[str], None]) -> None:
        """Return with one more thread waiting for its turn for each of `names`."""
        for name in names:
            self.start(name, act)
        writers = self._store._writers
        assert writers is not None
        assert eventually(lambda: writers._waiting == len(names), 10)

    def start(self, name: str, act: Callable[[str], None]) -> None:
        self._threads.append(threading.Thread(target=self._run, args=(name, act), daemon=True))
        self._threads[-1].start()

    def _run(self, name: str, act: Callable[[str], None]) -> None:
        try:
            act(name)
        except BaseException as error:  # noqa: BLE001 -- for the test to see
            self.errors[name] = error
        self.done.append(name)

    def join(self) -> None:
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()


@pytest.fixture
def crowd(store: Store) -> Crowd:
    return Crowd(store)


NAMES = [f"other {number}" for number in range(OTHERS)]


def test_who_waits_shares_the_commit(store: Store, crowd: Crowd, commits: list[int]) -> None:
    with store.write() as connection:
        connection.execute(instances.insert(), {"id": "first", "heartbeat": 0})
        crowd.wait_in_line(NAMES, lambda name: write(store, name))
        assert crowd.done == []
    assert len(commits) == 1
    assert written(store) == {"first", *NAMES}
    crowd.join()
    assert crowd.errors == {}
    write(store, "alone")
    assert len(commits) == 2


def test_no_transaction_is_shared_by_more_than_some(
    store: Store, crowd: Crowd, commits: list[int]
) -> None:
    names = [str(number) for number in range(MOST)]
    with store.write():
        crowd.wait_in_line(names, lambda name: write(store, name))
    crowd.join()
    assert len(commits) == 2
    assert written(store) == set(names)


@pytest.mark.parametrize("fails", ["first", *NAMES[::2]])
def test_a_part_that_fails_is_undone_alone(store: Store, crowd: Crowd, fails: str) -> None:
    def act(name: str) -> None:
        with store.write() as connection:
            connection.execute(instances.insert(), {"id": name, "heartbeat": 0})
            if name == fails:
                raise LookupError(name)

    with store.write():
        crowd.wait_in_line(["first", *NAMES], act)
    crowd.join()
    assert set(crowd.errors) == {fails}
    assert isinstance(crowd.errors[fails], LookupError)
    assert written(store) == {"first", *NAMES} - {fails}


def test_nobody_is_told_that_what_failed_to_commit_was_stored(store: Store, crowd: Crowd) -> None:
    def fail(_connection: object) -> None:
        raise OperationalError("COMMIT", {}, Exception("disk I/O error"))

    event.listen(store.engine, "commit", fail)
    with pytest.raises(EditError) as first, store.write():
        crowd.wait_in_line(NAMES, lambda name: write(store, name))
    crowd.join()
    event.remove(store.engine, "commit", fail)
    assert set(crowd.errors) == set(NAMES)
    for error in (first.value, *crowd.errors.values()):
        assert isinstance(error, EditError)
        assert error.situation is Situation.UPSTREAM_BUSY
    assert written(store) == set()
    write(store, "later")
    assert written(store) == {"later"}


def test_what_must_outlive_the_power_joins_nothing_less(
    store: Store, crowd: Crowd, commits: list[int]
) -> None:
    """The disk is waited for (FULL, 2) where one of the parts wants it, else not (NORMAL, 1)."""
    modes: dict[str, int] = {}

    def act(name: str) -> None:
        with store.write(durable=name == "lasting") as connection:
            modes[name] = connection.exec_driver_sql("PRAGMA synchronous").scalar_one()

    with store.write(durable=False) as connection:
        connection.execute(instances.insert(), {"id": "first", "heartbeat": 0})
        crowd.wait_in_line(["lasting"], act)
    crowd.join()
    assert (modes, len(commits)) == ({"lasting": 2}, 2)
    with store.write() as connection:
        connection.execute(instances.insert(), {"id": "second", "heartbeat": 0})
        crowd.wait_in_line(["passing"], act)
    crowd.join()
    assert (modes["passing"], len(commits)) == (2, 3)
    act("passing")
    assert modes["passing"] == 1
    act("lasting")
    assert modes["lasting"] == 2


def test_what_undoes_a_whole_transaction_is_told_to_all_of_it(store: Store, crowd: Crowd) -> None:
    """As a full disk does; SQLite then has nothing left to undo a part of."""

    def act(name: str) -> None:
        with store.write() as connection:
            connection.execute(instances.insert(), {"id": name, "heartbeat": 0})
            connection.exec_driver_sql("ROLLBACK")
            raise LookupError(name)

    def first(name: str) -> None:
        with store.write() as connection:
            connection.execute(instances.insert(), {"id": name, "heartbeat": 0})
            there.set()
            assert eventually(lambda: writers._waiting == 1, 10)

    writers, there = store._writers, threading.Event()
    assert writers is not None
    crowd.start("first", first)
    assert there.wait(10)
    crowd.start("other", act)
    crowd.join()
    assert isinstance(crowd.errors["first"], EditError)
    assert isinstance(crowd.errors["other"], LookupError)
    assert written(store) == set()
    write(store, "later")
    assert written(store) == {"later"}


def test_nobody_waits_for_others_to_try_what_did_not_begin(store: Store, crowd: Crowd) -> None:
    """As where another program has the file: each try takes half a minute."""
    tries, writers, there = [], store._writers, threading.Event()
    assert writers is not None

    def begin(_connection: object) -> None:
        tries.append(True)
        if len(tries) == 1:
            assert eventually(lambda: writers._waiting == 1, 10)
            raise sqlite3.OperationalError("database is locked")
        assert there.wait(10)

    event.listen(store.engine, "begin", begin, insert=True)
    crowd.start("first", lambda name: write(store, name))
    assert eventually(lambda: tries == [True], 10)
    crowd.start("other", lambda name: write(store, name))
    assert eventually(lambda: crowd.done == ["first"], 10)
    there.set()
    crowd.join()
    event.remove(store.engine, "begin", begin)
    assert isinstance(crowd.errors.pop("first"), EditError)
    assert (crowd.errors, len(tries), written(store)) == ({}, 2, {"other"})


@pytest.mark.parametrize("where", ["COMMIT", "ROLLBACK TO part"])
def test_an_interruption_neither_keeps_who_waits_nor_commits_a_half(
    store: Store, crowd: Crowd, where: str
) -> None:
    """As Ctrl-C is one."""

    def interrupt(*told: object) -> None:
        if len(told) == 1 or told[2] == where:
            raise KeyboardInterrupt

    def act(name: str) -> None:
        with store.write() as connection:
            connection.execute(instances.insert(), {"id": name, "heartbeat": 0})
            if where != "COMMIT":
                raise LookupError(name)

    def first(name: str) -> None:
        with store.write() as connection:
            connection.execute(instances.insert(), {"id": name, "heartbeat": 0})
            there.set()
            assert eventually(lambda: writers._waiting == 1, 10)

    writers, there = store._writers, threading.Event()
    assert writers is not None
    moment = "commit" if where == "COMMIT" else "before_cursor_execute"
    event.listen(store.engine, moment, interrupt)
    crowd.start("first", first)
    assert there.wait(10)
    crowd.start("other", act)
    crowd.join()
    event.remove(store.engine, moment, interrupt)
    assert isinstance(crowd.errors["first"], EditError)
    assert isinstance(crowd.errors["other"], KeyboardInterrupt)
    assert written(store) == set()
    write(store, "later")
    assert written(store) == {"later"}
