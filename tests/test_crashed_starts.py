"""kill -9 while a database is made or migrated: the next start finds it whole or not begun."""

from __future__ import annotations

import time
from pathlib import Path

import psycopg
from sqlalchemy import inspect

from sandbox.server import SandboxServer
from server.accounts.audit import audit
from server.accounts.store import connect
from tests.databases import Postgres, sqlite_url
from tests.paid_keys import paid_key
from tests.programs import program
from tests.running import eventually

pytest_plugins = ("tests.databases",)

# Seconds after the first sign of the migration; some are before its commit, some behind.
MOMENTS = (0.0, 0.005, 0.01, 0.02, 0.05)
LOADING = 0.1  # of the migrations themselves, between the new file and its first table


def check_next_start(database: str) -> bool:
    """A start after the kill brings the database to its version; tell whether there was a need."""
    store = connect(database)
    with store.read() as connection:
        begun = inspect(connection).has_table("accounts")
    store.migrate()
    store.check()
    paid_key(store)
    assert audit(store) == []
    store.close()
    return not begun


def test_kills_during_the_first_start(sandbox: SandboxServer, tmp_path: Path) -> None:
    interrupted = 0
    for number, moment in enumerate(MOMENTS):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        environment = sandbox.environment() | {
            "IMAGEEDIT_GRPC_ADDRESS": "127.0.0.1:0",
            "IMAGEEDIT_DATABASE_URL": sqlite_url(folder),
        }
        with program("-m", "server", environment=environment, folder=folder) as service:
            assert eventually((folder / "imageedit.db").exists, 30)
            time.sleep(number and LOADING + 2 * moment)
            service.process.kill()
            service.process.wait()
        interrupted += check_next_start(sqlite_url(folder))
    assert interrupted > 0


def test_kills_during_the_migration_of_a_shared_database(
    postgres: Postgres, tmp_path: Path
) -> None:
    with psycopg.connect(postgres(), autocommit=True) as watcher:

        def begun() -> bool:
            locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"
            return watcher.execute(locks).fetchone() != (0,)

        interrupted = 0
        for moment in MOMENTS:
            database = postgres()
            environment = {"IMAGEEDIT_DATABASE_URL": database}
            arguments = ("-m", "cli", "migrate")
            with program(*arguments, environment=environment, folder=tmp_path) as migration:
                assert eventually(begun, 30)
                time.sleep(moment)
                migration.process.kill()
                migration.process.wait()
            interrupted += check_next_start(database)
            postgres.drop(database)
        assert interrupted > 0
