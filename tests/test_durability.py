"""What a database of ours is set to, so that what was committed outlives the power."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import event

from server.accounts.store import open_store
from tests.databases import migrated_sqlite
from tests.ledgers import DELIVERED, Bank

NORMAL, FULL = 1, 2


def test_sqlite_keeps_every_commit(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'a.db'}")
    with store.read() as one, store.write() as other:
        for connection in (one, other):
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == FULL
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
            assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    store.close()


def test_the_disk_is_waited_for_before_a_vendor_is_called_and_before_an_answer_is_given(
    tmp_path: Path,
) -> None:
    """A hold that nobody was told of may be lost with the power: nothing was sent, none paid."""
    store = open_store(migrated_sqlite(tmp_path))
    bank = Bank(store)
    ledger, account = bank.ledger(), bank.account(1_000)
    key = bank.key(account)
    orders = [bank.order(account, key) for _ in range(2)]
    modes: list[int] = []

    def look(connection: Any) -> None:
        raw = connection.connection.dbapi_connection
        modes.append(raw.execute("PRAGMA synchronous").fetchone()[0])

    event.listen(store.engine, "commit", look)
    ledger.hold(orders[0])
    ledger.submit(orders[0].edit_id)
    ledger.post(orders[0].edit_id, 1, DELIVERED)
    ledger.hold(orders[1], told=True)
    assert modes == [NORMAL, FULL, FULL, FULL]
    store.close()
