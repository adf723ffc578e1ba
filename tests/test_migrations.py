"""The migrations, in either database: they give what the tables say, and keep what there is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import select, text

from server.accounts.audit import audit
from server.accounts.operations import Operations, State
from server.accounts.results import Results
from server.accounts.schema import edits, metadata
from server.accounts.store import MIGRATIONS, VERSION, SchemaError, Store, connect, open_store
from tests.databases import Postgres, sqlite_url
from tests.paid_keys import now

pytest_plugins = ("tests.databases",)

ACCOUNT, KEY, EDIT = ("00000000-0000-4000-8000-00000000000" + digit for digit in "123")
OF_0001 = f"""
INSERT INTO accounts VALUES ('{ACCOUNT}', 1, 0, 0);
INSERT INTO keys (id, account_id, digest, hint, name, created, rate_limit, concurrency, spent, held,
    active) VALUES ('{KEY}', '{ACCOUNT}', 'd', '', 'me', 1, 60, 10, 0, 0, 0);
INSERT INTO edits (id, account_id, key_id, "user", model, state, owner, hold, cost, loss, created,
    ended, route, attempts, upstream_ms, input_tokens, input_text_tokens, output_tokens,
    mask_method, outcome, message, fingerprint, claims, delivered)
    VALUES ('{EDIT}', '{ACCOUNT}', '{KEY}', '', 'a/b', 'voided', 'o', 0, 0, 0, 1, {now()}, '', 0, 0,
    0, 0, 0, '', 'bad_request', 'no', 'f', 0, false)
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest) -> Iterator[Store]:
    if request.param == "postgresql":
        server: Postgres = request.getfixturevalue("postgres")
        url = server()
    else:
        url = sqlite_url(request.getfixturevalue("tmp_path"))
    store = connect(url)
    yield store
    store.close()


def bring_to(store: Store, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with store.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def differences(store: Store) -> list[object]:
    """Return how the database differs from the tables and indexes that the code has."""
    with store.read() as connection:
        return compare_metadata(MigrationContext.configure(connection), metadata)


def test_they_give_what_the_tables_say(empty: Store) -> None:
    empty.migrate()
    empty.check()
    assert differences(empty) == []


def test_what_an_older_version_left_is_kept(empty: Store) -> None:
    bring_to(empty, "0001")
    with empty.write() as connection:
        for statement in OF_0001.strip().split(";"):
            connection.execute(text(statement))
    with pytest.raises(SchemaError, match="is at version 0001, .* needs " + VERSION):
        empty.check()
    empty.migrate()
    empty.check()
    assert differences(empty) == []
    with empty.read() as connection:
        assert connection.execute(select(edits.c.id, edits.c.wish)).one() == (EDIT, None)
    operations = Operations(empty, Results(empty, clock=now), now)
    assert operations.get(ACCOUNT, EDIT).state is State.FAILED
    assert audit(empty) == []


@pytest.mark.parametrize("what", ["text", "folder"])
def test_what_is_no_database_is_told_in_a_line(tmp_path: Path, what: str) -> None:
    path = tmp_path / "note.db"
    if what == "text":
        path.write_text("this is no database" * 100)
    else:
        path.mkdir()
    told = "^The database of IMAGEEDIT_DATABASE_URL can't be used: [^\n]+$"
    with pytest.raises(SchemaError, match=told):
        open_store(f"sqlite:///{path}")
