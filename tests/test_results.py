"""Stored results: bytes again, for as long as they are kept, within a quota."""

from __future__ import annotations

import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, event, func, select
from sqlalchemy.exc import IntegrityError

from server.accounts.audit import audit
from server.accounts.housekeeping import Housekeeping
from server.accounts.ledger import Ending
from server.accounts.results import Results
from server.accounts.schema import claims, edits, entries, results
from server.accounts.store import Store, open_store
from tests.databases import migrated_sqlite, sqlite_url
from tests.idempotent_calls import COST, MINUTE, NOW, Calls, Clock
from tests.running import eventually

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
        calls.results.keep(edit_id, {}, b"x" * size, keep_ms)(connection)
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
        calls.results.keep(edit_id, facts, picture, DAY)(connection)
    stored = calls.results.load(edit_id)
    assert stored is not None
    assert (stored.facts, stored.picture) == (facts, picture)
    assert isinstance(stored.picture, bytes)


def test_nothing_is_stored_of_a_settlement_that_rolls_back(store: Store, calls: Calls) -> None:
    edit_id = calls.submit()

    keep = calls.results.keep(edit_id, {}, b"picture", DAY)

    def also(connection: Connection) -> None:
        keep(connection)
        keep(connection)

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


def test_the_sqlite_files_stay_private_and_as_large_as_the_quota_wants(tmp_path: Path) -> None:
    """Day after day of results: what was purged takes no room."""
    store = open_store(sqlite_url(tmp_path))
    clock = Clock()
    calls = Calls(store, clock=clock)
    limited = Results(store, clock=clock, quota=1_000_000)
    for _ in range(30):
        clock.now += MINUTE
        for _ in range(5):
            keep(store, calls, 100_000)
        limited.purge(clock.now)
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE(folder_of(tmp_path).stat().st_mode) == 0o700
    assert sorted(path.name for path in folder_of(tmp_path).iterdir()) == sorted(kept(store))
    assert len(kept(store)) == 9
    # 15 MB passed through, none of it by the database: that has the rows of 150 edits.
    assert (tmp_path / "imageedit.db").stat().st_size < 600_000
    store.close()


def folder_of(tmp_path: Path) -> Path:
    return tmp_path / "imageedit.db-results"


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Store]:
    store = open_store(migrated_sqlite(tmp_path))
    yield store
    store.close()


def test_files_that_a_crash_left_are_deleted_and_no_others(embedded: Store, tmp_path: Path) -> None:
    clock = Clock()
    calls = Calls(embedded, clock=clock)
    whole = keep(embedded, calls, 10)
    swept, sent, lost = calls.submit(), calls.submit(), calls.submit()
    for edit_id in (swept, sent, lost):
        calls.results.keep(edit_id, {}, b"picture", DAY)  # and no row is ever committed
    calls.ledger.unknown(swept, 0, Ending("lost"))
    calls.ledger.unknown(lost, 0, Ending("lost"))
    folder = folder_of(tmp_path)
    assert len(list(folder.iterdir())) == 4
    (folder / "lost+found").mkdir()  # as in a disk of its own
    calls.results.purge(clock.now)
    assert {path.name for path in folder.iterdir()} == {whole, sent, "lost+found"}
    assert calls.results.load(whole) is not None


def test_a_row_without_its_file_is_a_result_that_is_not_kept(
    embedded: Store, tmp_path: Path
) -> None:
    """As after the database was restored from a backup."""
    calls = Calls(embedded, clock=Clock())
    edit_id = keep(embedded, calls, 10)
    (folder_of(tmp_path) / edit_id).unlink()
    assert calls.results.load(edit_id) is None


def test_a_picture_that_no_file_takes_is_kept_in_its_row(embedded: Store, tmp_path: Path) -> None:
    calls = Calls(embedded, clock=Clock())
    folder_of(tmp_path).write_bytes(b"in the way")
    edit_id = keep(embedded, calls, 10)
    stored = calls.results.load(edit_id)
    assert stored is not None
    assert stored.picture == b"x" * 10


def test_what_older_versions_kept_in_the_row_is_read(embedded: Store) -> None:
    calls = Calls(embedded, clock=Clock())
    edit_id = keep(embedded, calls, 10)
    with embedded.write() as connection:
        connection.execute(results.update().values(picture=b"as it was"))
    stored = calls.results.load(edit_id)
    assert stored is not None
    assert stored.picture == b"as it was"


def test_housekeeping_goes_on_after_what_nobody_expected(embedded: Store) -> None:
    rounds: list[int] = []

    class Broken(Results):
        def purge(self, now: int) -> None:
            rounds.append(now)
            raise LookupError

    clock = Clock()
    housekeeping = Housekeeping(Broken(embedded, clock=clock), clock, interval=0.01)
    housekeeping.start()
    assert eventually(lambda: len(rounds) > 1)
    housekeeping.close()
