"""Stored results: bytes again, for as long as they are kept, within a quota."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest
from sqlalchemy import event, func, select
from sqlalchemy.exc import IntegrityError

from server.accounts.audit import audit
from server.accounts.ledger import Ending
from server.accounts.results import Results
from server.accounts.schema import claims, edits, entries, results
from server.accounts.store import Store, open_store
from tests.databases import sqlite_url
from tests.idempotent_calls import COST, MINUTE, NOW, Calls, Clock

pytest_plugins = ("tests.databases",)

DAY = 24 * 60 * MINUTE


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def calls(store: Store, clock: Clock) -> Calls:
    return Calls(store, clock=clock)


def keep(store: Store, calls: Calls, size: int, keep_ms: int = DAY) -> str:
    """Return the edit of a new stored result whose picture has `size` bytes."""
    edit_id = calls.submit()
    with store.write() as connection:
        calls.results.store_result(connection, edit_id, {}, b"x" * size, keep_ms)
    return edit_id


def kept(store: Store) -> list[str]:
    """Return the edits whose results are there, the oldest first."""
    statement = select(results.c.edit_id).order_by(results.c.created, results.c.edit_id)
    with store.read() as connection:
        return list(connection.scalars(statement))


def count(store: Store, table: object) -> int:
    with store.read() as connection:
        return connection.scalar(select(func.count()).select_from(table)) or 0  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "picture", [b"\x89PNG\r\n\x1a\n\x00\xff'", b"", bytes(range(256)) * 12_000]
)
def test_facts_and_bytes_come_back_as_they_were(store: Store, calls: Calls, picture: bytes) -> None:
    facts = {"cost": 2**62, "drift": 0.25, "text": "é☃\"'", "none": None, "list": ["a", {"b": []}]}
    edit_id = calls.submit()
    with store.write() as connection:
        calls.results.store_result(connection, edit_id, facts, picture, DAY)
    stored = calls.results.load(edit_id)
    assert stored is not None
    assert (stored.facts, stored.picture) == (facts, picture)
    assert isinstance(stored.picture, bytes)


def test_nothing_is_stored_of_a_settlement_that_rolls_back(store: Store, calls: Calls) -> None:
    edit_id = calls.submit()

    def also(connection: object) -> None:
        calls.results.store_result(connection, edit_id, {}, b"picture", DAY)  # type: ignore[arg-type]
        calls.results.store_result(connection, edit_id, {}, b"picture", DAY)  # type: ignore[arg-type]

    with pytest.raises(IntegrityError):
        calls.ledger.post(edit_id, COST, Ending("delivered"), also=also)
    assert calls.results.load(edit_id) is None
    assert calls.row(edit_id).state == "submitted"
    assert audit(store) == []


def test_a_result_expires(store: Store, calls: Calls, clock: Clock) -> None:
    edit_id = keep(store, calls, 10, keep_ms=10 * MINUTE)
    clock.now += 10 * MINUTE - 1
    assert calls.results.load(edit_id) is not None
    clock.now += 1
    assert calls.results.load(edit_id) is None
    assert calls.results.load("no such edit") is None


def test_purging_deletes_what_expired_and_leaves_edits_and_journal(
    store: Store, calls: Calls, clock: Clock
) -> None:
    short = calls.submit("short")
    calls.post(short)
    long = calls.submit("long")
    calls.post(long, "long")
    before = count(store, edits), count(store, entries)
    calls.results.purge(NOW + 10 * MINUTE - 1)
    assert sorted(kept(store)) == sorted([short, long])
    calls.results.purge(NOW + 10 * MINUTE)
    assert kept(store) == [long]
    assert count(store, claims) == 2
    calls.results.purge(NOW + DAY - 1)
    assert (kept(store), count(store, claims)) == ([long], 2)
    for _ in range(2):
        calls.results.purge(NOW + DAY)
        assert (kept(store), count(store, claims)) == ([], 0)
    assert (count(store, edits), count(store, entries)) == before
    assert audit(store) == []


def test_the_oldest_make_room(store: Store, calls: Calls, clock: Clock) -> None:
    stored = []
    for number in range(25):
        clock.now += 1
        # The oldest would be kept longest.
        stored.append(keep(store, calls, 998, keep_ms=DAY - 1000 * number))  # and "{}" makes 1,000
    for quota, remaining in [(25_000, 25), (24_999, 24), (24_000, 24), (3_500, 3), (999, 0)]:
        Results(store, clock=clock, quota=quota).purge(clock.now)
        assert kept(store) == stored[25 - remaining :], quota


def test_one_large_result_makes_all_older_ones_go(store: Store, calls: Calls, clock: Clock) -> None:
    for size in (10, 10, 5_000):
        clock.now += 1
        last = keep(store, calls, size)
    Results(store, clock=clock, quota=5_010).purge(clock.now)
    assert kept(store) == [last]


def test_several_processes_purge_at_once(store: Store, calls: Calls, clock: Clock) -> None:
    for _ in range(40):
        clock.now += 1
        keep(store, calls, 998)
    limited = Results(store, clock=clock, quota=10_000)
    threads = [threading.Thread(target=limited.purge, args=(clock.now,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(kept(store)) == 10


def test_purging_reads_no_picture(store: Store, calls: Calls, clock: Clock) -> None:
    keep(store, calls, 100_000)
    statements: list[str] = []
    event.listen(
        store.engine,
        "before_cursor_execute",
        lambda _c, _cursor, statement, *_: statements.append(statement),
    )
    Results(store, clock=clock, quota=10).purge(clock.now)
    assert kept(store) == []
    assert any("results" in statement for statement in statements)
    assert not any("picture" in statement for statement in statements)


def test_the_sqlite_file_stays_private_and_as_large_as_the_quota_wants(tmp_path: Path) -> None:
    """Day after day of results: the pages of old ones are used again."""
    store = open_store(sqlite_url(tmp_path))
    clock = Clock()
    calls = Calls(store, clock=clock)
    limited = Results(store, clock=clock, quota=1_000_000)
    for _ in range(30):
        clock.now += MINUTE
        for _ in range(5):
            keep(store, calls, 100_000)
        limited.purge(clock.now)
        files = list(tmp_path.glob("imageedit.db*"))
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert len(kept(store)) == 9
    # 15 MB passed through: the quota, one minute's results, and the rows of 150 edits.
    assert (tmp_path / "imageedit.db").stat().st_size < 2_000_000
    store.close()
