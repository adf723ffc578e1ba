"""What a database of ours is set to, so that what was committed outlives the power."""

from __future__ import annotations

from pathlib import Path

from server.accounts.store import open_store

FULL = 2


def test_sqlite_keeps_every_commit(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'a.db'}")
    with store.read() as one, store.write() as other:
        for connection in (one, other):
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == FULL
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
            assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    store.close()
