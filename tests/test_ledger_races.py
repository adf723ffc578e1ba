"""No number of processes takes more than the balance, the key's limit or its places.

IMAGEEDIT_TEST_RACES says how often each race is run; 50 is the promise.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator

import pytest

from server.accounts import schema
from server.accounts.audit import audit
from server.accounts.store import Store
from tests import whole
from tests.ledgers import Bank
from tests.racing import ATTEMPTS, PROCESSES, Racers

pytest_plugins = ("tests.databases",)

RACES = int(os.environ.get("IMAGEEDIT_TEST_RACES", whole.of("5", "1")))
ALL = PROCESSES * ATTEMPTS
FITS = 60  # edits of 100 that what is raced for has place for


@pytest.fixture(scope="module")
def racers() -> Iterator[Racers]:
    """Eight processes."""
    with Racers() as racers:
        yield racers


@pytest.mark.timeout(60 + 6 * RACES)
@pytest.mark.parametrize(
    ("credit", "limits", "refusal"),
    [
        (FITS * 100 + 99, {}, "no_credit"),
        (ALL * 100, {"spend_limit": FITS * 100 + 99}, "no_credit"),
        (ALL * 100, {"concurrency": FITS}, "limited"),
    ],
    ids=["balance", "spending limit", "concurrency"],
)
def test_as_many_are_admitted_as_fit(
    racers: Racers,
    store: Store,
    database_url: str,
    credit: int,
    limits: dict[str, int | None],
    refusal: str,
) -> None:
    bank = Bank(store)
    for _ in range(RACES):
        account = bank.account(credit)
        key = bank.key(account, **limits)
        outcomes = racers.race(database_url, account, key, 100, whole=False)
        assert outcomes == {"held": FITS, refusal: ALL - FITS}
        assert bank.ledger().balance(account).held == FITS * 100
        assert (bank.key_row(key).held, bank.key_row(key).active) == (FITS * 100, FITS)
    assert audit(store) == []


@pytest.mark.timeout(60 + 6 * RACES)
def test_whole_edits_side_by_side_keep_the_books(
    racers: Racers, store: Store, database_url: str
) -> None:
    bank = Bank(store)
    totals: Counter[str] = Counter()
    for _ in range(RACES):
        account = bank.account(5000)
        key = bank.key(account, concurrency=6, spend_limit=4500)
        totals += racers.race(database_url, account, key, 100, whole=True)
        balance = bank.ledger().balance(account)
        assert (balance.held, balance.posted) == (0, 5000 - balance.spent)
        assert balance.spent <= 4500
    assert audit(store) == []
    assert totals["lost"] == 0
    assert totals["held"] == totals["posted"] + totals["voided"] + totals["unknown"]
    assert totals["held"] == bank.count(schema.edits)
    assert min(totals[kind] for kind in ("posted", "voided", "unknown")) > 0
