"""What dead instances leave behind is resolved, once, and nothing of the living is touched."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import text

from server.accounts import schema
from server.accounts.audit import audit
from server.accounts.instances import GRACE_MS, Heart
from server.accounts.ledger import Balance, HoldLost
from server.accounts.store import Store, connect
from server.accounts.sweeper import DEAD_AFTER_MS, HOLD_TTL_MS, sweep
from server.domain import EditError
from tests.databases import sqlite_url
from tests.ledgers import DELIVERED, FAILED, NOON, Bank
from tests.running import eventually

pytest_plugins = ("tests.databases",)


@pytest.fixture
def bank(store: Store) -> Iterator[Bank]:
    """A store that passes the audit at the end of every test."""
    bank = Bank(store)
    yield bank
    assert audit(store) == []


def swept(bank: Bank) -> int:
    return sweep(bank.store, bank.clock, bank.new_id)


def edit(bank: Bank, *, owner: str = "dead", submitted: bool = False) -> tuple[str, str]:
    """Return a new account of 1000 and its edit that holds 100."""
    ledger, account = bank.ledger(owner), bank.account(1000)
    order = bank.order(account, bank.key(account))
    ledger.hold(order)
    if submitted:
        ledger.submit(order.edit_id)
    return account, order.edit_id


@pytest.mark.parametrize(
    ("submitted", "state", "loss", "message"),
    [
        (False, "voided", 0, "before the edit was sent"),
        (True, "unknown", 100, "while the edit was under way"),
    ],
)
def test_what_the_dead_held_is_given_back(
    bank: Bank, submitted: bool, state: str, loss: int, message: str
) -> None:
    account, edit_id = edit(bank, submitted=submitted)
    bank.now += 5000
    assert swept(bank) == 1
    assert bank.ledger().balance(account) == Balance(1000, 0, 0)
    row = bank.edit(edit_id)
    assert (row.state, row.cost, row.loss, row.ended) == (state, 0, loss, NOON + 5000)
    assert (row.outcome, message in row.message) == ("lost", True)
    assert swept(bank) == 0


@pytest.mark.parametrize(
    ("age", "alive"),
    [
        (0, True),
        (DEAD_AFTER_MS - 1, True),
        (DEAD_AFTER_MS, False),
        (-DEAD_AFTER_MS, True),  # another host's clock may be ahead a little
        (-DEAD_AFTER_MS - 1, False),  # the clock was set back: whoever lives beats anew
        (None, False),
    ],
)
@pytest.mark.parametrize("submitted", [False, True])
def test_whose_heartbeat_is_young_lives(
    bank: Bank, age: int | None, alive: bool, submitted: bool
) -> None:
    _, edit_id = edit(bank, submitted=submitted)
    if age is not None:
        bank.beat("dead", bank.now - age)
    assert swept(bank) == (0 if alive else 1)
    assert (bank.edit(edit_id).state in {"held", "submitted"}) == alive


def test_the_edits_of_the_living_stay(bank: Bank) -> None:
    bank.beat("living")
    edits = [edit(bank, owner="living", submitted=submitted)[1] for submitted in (False, True)]
    edit(bank)
    assert swept(bank) == 1
    assert [bank.edit(edit_id).state for edit_id in edits] == ["held", "submitted"]


def test_nothing_is_held_for_ever(bank: Bank) -> None:
    _, edit_id = edit(bank, owner="living", submitted=True)
    bank.now += HOLD_TTL_MS
    bank.beat("living")
    assert swept(bank) == 0
    bank.now += 1
    assert swept(bank) == 1
    assert bank.edit(edit_id).state == "unknown"


@pytest.mark.parametrize("submitted", [False, True])
def test_an_owner_that_comes_back_learns_that_it_was_given_up(bank: Bank, submitted: bool) -> None:
    account, edit_id = edit(bank, owner="late", submitted=submitted)
    assert swept(bank) == 1
    late = bank.ledger("late")
    bank.beat("late")
    with pytest.raises(HoldLost):
        late.submit(edit_id)
    with pytest.raises(HoldLost):
        late.post(edit_id, 40, DELIVERED)
    assert not late.void(edit_id, FAILED)
    assert not late.unknown(edit_id, 40, FAILED)
    assert late.balance(account) == Balance(1000, 0, 0)


def test_an_owner_that_sends_at_this_moment_is_not_told_that_nothing_was_sent(bank: Bank) -> None:
    edits = [edit(bank, owner="late")[1] for _ in range(2)]

    class Sends(logging.Handler):
        """Between the sweeper's first edit and its second, the owner submits what it still has."""

        def emit(self, _: logging.LogRecord) -> None:
            for edit_id in edits:
                with suppress(HoldLost):
                    bank.ledger("late").submit(edit_id)

    handler = Sends()
    logger = logging.getLogger("imageedit.accounts")
    logger.addHandler(handler)
    try:
        assert swept(bank) == 1
    finally:
        logger.removeHandler(handler)
    assert sorted(bank.edit(edit_id).state for edit_id in edits) == ["submitted", "voided"]
    assert swept(bank) == 1
    assert sorted(bank.edit(edit_id).state for edit_id in edits) == ["unknown", "voided"]


def test_closing_a_heart_that_never_started_is_nothing(bank: Bank) -> None:
    heart(bank).close()
    assert beats(bank) == {}


def test_edits_that_had_ended_stay_as_they_are(bank: Bank) -> None:
    ended = []
    for verb in ("post", "void", "unknown"):
        _, edit_id = edit(bank, submitted=True)
        ledger = bank.ledger("dead")
        if verb == "post":
            ledger.post(edit_id, 40, DELIVERED)
        elif verb == "void":
            ledger.void(edit_id, FAILED)
        else:
            ledger.unknown(edit_id, 40, FAILED)
        ended.append(edit_id)
    before = [bank.edit(edit_id) for edit_id in ended]
    assert swept(bank) == 0
    assert [bank.edit(edit_id) for edit_id in ended] == before


def test_sweepers_and_the_owner_at_once_end_each_edit_once(bank: Bank) -> None:
    edits = [edit(bank, submitted=number % 2 == 0) for number in range(12)]
    start = Barrier(3)
    banks = [Bank(bank.store, prefix=f"sweeper-{number}") for number in range(2)]

    def sweeping(own: Bank) -> int:
        start.wait()
        return swept(own)

    def owner() -> int:
        ledger = Bank(bank.store, prefix="owner").ledger("dead")
        start.wait()
        return sum(ledger.void(edit_id, FAILED) for _, edit_id in reversed(edits))

    with ThreadPoolExecutor(3) as threads:
        ended = [threads.submit(sweeping, own) for own in banks] + [threads.submit(owner)]
        assert sum(result.result() for result in ended) == len(edits)
    for account, _ in edits:
        assert bank.ledger().balance(account) == Balance(1000, 0, 0)


def heart(bank: Bank, owner: str = "me", interval_ms: int = 5) -> Heart:
    return Heart(
        bank.store, owner=owner, clock=bank.clock, new_id=bank.new_id, interval_ms=interval_ms
    )


def beats(bank: Bank) -> dict[str, int]:
    with bank.store.read() as connection:
        rows = connection.execute(schema.instances.select()).all()
    return {row.id: row.heartbeat for row in rows}


def test_a_heart_registers_beats_sweeps_and_leaves(bank: Bank) -> None:
    account, edit_id = edit(bank)
    beating = heart(bank)
    beating.start()
    try:
        assert beats(bank) == {"me": NOON}
        bank.now = NOON + GRACE_MS
        assert eventually(lambda: beats(bank) == {"me": NOON + GRACE_MS})
        assert eventually(lambda: bank.edit(edit_id).state == "voided")
    finally:
        beating.close()
    assert beats(bank) == {}
    assert bank.ledger().balance(account).held == 0


def test_a_new_heart_gives_others_the_time_to_beat(bank: Bank) -> None:
    _, edit_id = edit(bank, owner="other")
    beating = heart(bank)
    assert beating.tick() == 0
    bank.now += GRACE_MS - 1
    assert beating.tick() == 0
    bank.beat("other")
    bank.now += 1000
    assert beating.tick() == 0
    assert bank.edit(edit_id).state == "held"
    bank.now += DEAD_AFTER_MS
    assert beating.tick() == 1


def test_what_was_left_is_back_within_five_seconds_of_a_restart(bank: Bank) -> None:
    bank.beat("dead")
    edits = [edit(bank, submitted=submitted)[1] for submitted in (False, True)]
    bank.now += 1  # killed, and started again at once
    started, beating = bank.now, heart(bank)
    beating.beat()
    while not beating.tick():
        bank.now += 1000
    assert bank.now - started <= 5000
    assert [bank.edit(edit_id).state for edit_id in edits] == ["voided", "unknown"]


def test_registering_forgets_the_long_dead(bank: Bank) -> None:
    bank.beat("yesterday", NOON - 86_400_001)
    bank.beat("today", NOON - 86_400_000)
    beating = heart(bank, interval_ms=60_000)
    beating.start()
    beating.close()
    assert set(beats(bank)) == {"today"}


def test_a_heart_outlives_a_database_that_is_away(tmp_path: Path) -> None:
    store = connect(sqlite_url(tmp_path))
    store.migrate()
    bank = Bank(store)
    _, edit_id = edit(bank, owner="other")
    beating = heart(bank)
    bank.now += 1
    assert beating.tick() == 0
    bank.now += GRACE_MS
    rename(store, "instances", "away")
    assert beating.tick() == 0
    with pytest.raises(EditError):
        heart(bank).start()
    rename(store, "away", "instances")
    # The others missed their beats too: nobody is dead until everyone had the time to beat.
    assert beating.tick() == 0
    bank.beat("other")
    bank.now += GRACE_MS
    assert beating.tick() == 0
    assert bank.edit(edit_id).state == "held"
    bank.now += DEAD_AFTER_MS
    assert beating.tick() == 1
    beating_again = heart(bank)
    beating_again.start()
    beating_again.close()
    store.close()


def rename(store: Store, table: str, to: str) -> None:
    with store.write() as connection:
        connection.execute(text(f"ALTER TABLE {table} RENAME TO {to}"))
