"""The audit finds every way in which rows can disagree, and says which."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, text

from server.accounts.audit import audit
from server.accounts.schema import results
from server.accounts.store import Store
from tests.databases import Postgres, migrated_sqlite
from tests.ledgers import DELIVERED, FAILED, Bank

pytest_plugins = ("tests.databases",)

# What was done to a sound store, and a piece of what the audit says of it. Names in braces are ids.
TAMPERINGS = [
    ("UPDATE entries SET amount = amount + 1 WHERE kind = 'top_up' AND amount > 0", "sum to 1"),
    ("UPDATE entries SET amount = 71 WHERE account = 'revenue'", "its post has 71 on revenue, not"),
    (
        "DELETE FROM entries WHERE edit_id = '{posted}' AND kind = 'post'",
        "has 0 on revenue, not 70",
    ),
    ("DELETE FROM entries WHERE edit_id = '{held}'", "{held} is held, and its hold has 0 on"),
    ("DELETE FROM entries WHERE edit_id = '{voided}' AND kind = 'void'", "{voided} is voided, and"),
    ("DELETE FROM entries WHERE kind = 'unknown'", "its unknown has 0 on loss_unknown_outcome"),
    ("UPDATE entries SET edit_id = 'x' WHERE edit_id = '{held}'", "hold of no edit that is known"),
    ("UPDATE entries SET edit_id = NULL WHERE kind = 'void'", "void of no edit that is known"),
    ("UPDATE entries SET edit_id = '{held}' WHERE kind = 'top_up'", "touches more than a customer"),
    ("UPDATE entries SET account = 'revenue' WHERE account = 'funding'", "touches more than"),
    (
        "UPDATE entries SET account = 'customer:x' WHERE account = 'customer:{account}'",
        "The journal has customer:x, and there is no such account.",
    ),
    ("{again}", "{posted} is posted, and it was booked more than once."),
    ("{zeros}", "{posted} is posted, and it was booked more than once."),
    ("{both}", "{posted} is posted, and it was booked more than once."),
    ("UPDATE edits SET state = 'voided' WHERE id = '{posted}'", "{posted} is voided, and its post"),
    ("UPDATE edits SET state = 'held' WHERE id = '{posted}'", "{posted} is held, and its end is"),
    ("UPDATE edits SET state = 'posted' WHERE id = '{submitted}'", "its post has 0 on held:"),
    ("UPDATE edits SET ended = NULL WHERE id = '{voided}'", "{voided} is voided, and its end is"),
    ("UPDATE edits SET submitted = NULL WHERE id = '{submitted}'", "and was never submitted"),
    ("UPDATE edits SET submitted = NULL WHERE id = '{posted}'", "and was never submitted"),
    ("UPDATE edits SET cost = 101 WHERE id = '{posted}'", "hold of 100, and its cost is 101"),
    ("UPDATE edits SET cost = 9 WHERE id = '{voided}'", "hold of 100, and its cost is 9"),
    ("UPDATE edits SET cost = -9 WHERE id = '{posted}'", "hold of 100, and its cost is -9"),
    ("UPDATE edits SET loss = 9 WHERE id = '{voided}'", "{voided} is voided, and its loss is 9."),
    ("UPDATE edits SET loss = 9 WHERE id = '{unknown}'", "has 80 on loss_unknown_outcome, not 9."),
    ("UPDATE edits SET loss = 5 WHERE id = '{overrun}'", "has 30 on loss_overrun, not 5."),
    ("UPDATE edits SET hold = 99 WHERE id = '{held}'", "its hold has 100 on held:"),
    ("DELETE FROM edits WHERE id = '{held}'", "is a hold of no edit that is known"),
    ("UPDATE accounts SET posted = posted + 1", "831 posted, its entries say 830."),
    ("UPDATE accounts SET held = held - 1", "has 199 held, its entries say 200."),
    ("UPDATE accounts SET posted = 150", "has 150 posted and 200 held: overspent."),
    ("DELETE FROM accounts", "The journal has held:"),
    ("UPDATE keys SET held = held + 1", "Key {key} has 201 held, its edits say 200."),
    ("UPDATE keys SET active = 0", "Key {key} has 0 active, its edits say 2."),
    ("UPDATE keys SET spent = spent - 1", "Key {key} has 169 spent, its edits say 170."),
    ("UPDATE keys SET spend_limit = 369", "Key {key} is over its spending limit of 369."),
    ("UPDATE results SET edit_id = '{submitted}'", "{submitted}, which is submitted."),
    ("UPDATE results SET edit_id = '{unknown}'", "{unknown}, which is unknown."),
    ("UPDATE results SET edit_id = 'x'", "A result is kept of edit x, which is not known."),
]
ENTRY = (
    "INSERT INTO entries (event, kind, edit_id, account, amount, created)"
    " VALUES ('{event}', '{kind}', '{edit}', '{account}', {amount}, 0)"
)


@pytest.fixture
def names(store: Store) -> dict[str, str]:
    """The ids of a sound store with an edit in every state."""
    bank = Bank(store)
    account = bank.account(1000)
    ledger, key = bank.ledger(), bank.key(account)
    ids = {"account": account, "key": key}
    for state in ("held", "submitted", "posted", "overrun", "voided", "unknown"):
        order = bank.order(account, key)
        ledger.hold(order)
        if state != "held":
            ledger.submit(order.edit_id)
        ids[state] = order.edit_id
    row = {"edit_id": ids["posted"], "facts": "{}", "picture": b"", "bytes": 0, "created": 0}

    def keep(connection: Connection) -> None:
        connection.execute(insert(results).values(row | {"expires": 0}))

    ledger.post(ids["posted"], 70, DELIVERED, also=keep)
    ledger.post(ids["overrun"], 130, DELIVERED)
    ledger.void(ids["voided"], FAILED)
    ledger.unknown(ids["unknown"], 80, FAILED)
    kept = {"event": "x", "edit": ids["posted"], "kind": "post", "account": "revenue"}
    ids["again"] = ";".join(
        ENTRY.format(**(kept | {"amount": amount, "account": name}))
        for name, amount in (("revenue", 70), (f"customer:{account}", -70))
    )
    ids["zeros"] = ";".join(ENTRY.format(**(kept | {"amount": sign})) for sign in (5, -5))
    ids["both"] = ";".join(
        ENTRY.format(**(kept | {"kind": "void", "account": "funding", "amount": sign}))
        for sign in (5, -5)
    )
    return ids


def test_a_sound_store_has_no_findings(store: Store, names: dict[str, str]) -> None:
    assert names
    assert audit(store) == []


def test_an_empty_store_has_no_findings(store: Store) -> None:
    assert audit(store) == []


@pytest.mark.parametrize(("statement", "said"), TAMPERINGS, ids=[row[0] for row in TAMPERINGS])
def test_tampering_is_found(store: Store, names: dict[str, str], statement: str, said: str) -> None:
    tamper(store, statement.format(**names))
    findings = audit(store)
    assert any(said.format(**names) in finding for finding in findings), findings
    assert all(finding.endswith(".") for finding in findings)


@pytest.fixture(scope="module")
def unguarded(postgres: Postgres) -> str:
    """A database of this module's own: its guards are taken away, and do not come back."""
    return postgres.migrated()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database that no other module's tests see, with no rows."""
    if request.param == "sqlite":
        return migrated_sqlite(tmp_path)
    url: str = request.getfixturevalue("unguarded")
    request.getfixturevalue("postgres").empty(url)
    return url


def tamper(store: Store, statements: str) -> None:
    """Change rows as no statement of the program could: the database's own guards are off."""
    with store.engine.connect() as connection:
        raw = connection.connection.dbapi_connection
        assert raw is not None
        cursor = raw.cursor()
        if store.embedded:
            cursor.execute("PRAGMA foreign_keys=OFF")
            cursor.execute("PRAGMA ignore_check_constraints=ON")
        else:
            for table, name in _constraints(connection):
                cursor.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')
        for statement in statements.split(";"):
            cursor.execute(statement)
        raw.commit()
        cursor.close()
        connection.invalidate()


def _constraints(connection: Connection) -> list[tuple[str, str]]:
    found = text(
        "SELECT conrelid::regclass::text, conname FROM pg_constraint"
        " WHERE contype IN ('c', 'f') AND conrelid <> 0"
    )
    return [(row[0], row[1]) for row in connection.execute(found)]


def test_the_audit_sees_one_moment_while_edits_run(store: Store) -> None:
    bank = Bank(store)
    account = bank.account(10**9)
    key, done = bank.key(account), threading.Event()

    def work() -> None:
        own = Bank(store, prefix="worker")
        ledger = own.ledger("worker")
        while not done.is_set():
            order = own.order(account, key)
            ledger.hold(order)
            ledger.submit(order.edit_id)
            ledger.post(order.edit_id, 70, DELIVERED)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert [audit(store) for _ in range(15)] == [[]] * 15
    finally:
        done.set()
        thread.join()
