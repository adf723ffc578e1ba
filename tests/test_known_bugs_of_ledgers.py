"""Bugs that other gateways had in their books, each kept out of ours by a test of its own.

The numbers are those of the reports and fixes at one-api, new-api and LiteLLM.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import Connection

from server.accounts.audit import audit
from server.accounts.ledger import Balance, HoldLost
from server.accounts.store import Store, connect
from server.accounts.sweeper import DEAD_AFTER_MS, sweep
from server.domain import EditError, Situation
from tests.ledgers import DELIVERED, FAILED, Bank

pytest_plugins = ("tests.databases",)

HOLD = 100


@pytest.fixture
def bank(store: Store) -> Iterator[Bank]:
    """A store that passes the audit at the end of every test."""
    bank = Bank(store)
    yield bank
    assert audit(store) == []


@pytest.fixture
def elsewhere(database_url: str) -> Iterator[Callable[[str], Bank]]:
    """Make banks with connections of their own to the same database, as other processes have."""
    stores: list[Store] = []

    def make(prefix: str) -> Bank:
        stores.append(connect(database_url))
        return Bank(stores[-1], prefix=prefix)

    yield make
    for store in stores:
        store.close()


def hold(bank: Bank, account: str, key: str, owner: str = "me") -> str:
    """Hold for a new edit and return its id."""
    order = bank.order(account, key, HOLD)
    bank.ledger(owner).hold(order)
    return order.edit_id


def raced(banks: list[Bank], account: str, key: str, each: int) -> Counter[str]:
    """Let every bank try `each` holds, all at once; count how they went."""
    gate = Barrier(len(banks))

    def attempts(bank: Bank) -> Counter[str]:
        outcomes: Counter[str] = Counter()
        gate.wait()
        for _ in range(each):
            try:
                hold(bank, account, key)
                outcomes["held"] += 1
            except EditError as error:
                outcomes[error.situation.value] += 1
        return outcomes

    with ThreadPoolExecutor(len(banks)) as pool:
        return sum(pool.map(attempts, banks), Counter())


def test_one_api_2440_parallel_holds_never_take_more_than_there_is(
    bank: Bank, elsewhere: Callable[[str], Bank]
) -> None:
    """The balance was checked first and lowered later, so parallel requests all passed."""
    account = bank.account(5 * HOLD + HOLD - 1)
    key = bank.key(account)
    outcomes = raced([elsewhere(f"p{n}") for n in range(6)], account, key, 3)
    assert outcomes == {"held": 5, "no_credit": 13}
    assert bank.ledger().balance(account).held == 5 * HOLD


def test_one_api_2446_what_a_hold_finds_counts_and_not_what_was_read_before(
    bank: Bank, elsewhere: Callable[[str], Bank]
) -> None:
    """The subtraction had no condition of its own, and what it was checked against was stale."""
    account = bank.account(HOLD)
    key = bank.key(account)
    other = elsewhere("other")
    with bank.store.read():  # a reader that began before sees, and stops, nothing
        read = other.ledger().balance(account)
        assert read.posted - read.held >= HOLD
        hold(other, account, key)
        with pytest.raises(EditError) as refused:
            hold(bank, account, key)
    assert refused.value.situation is Situation.NO_CREDIT
    assert bank.ledger().balance(account) == Balance(HOLD, HOLD, 0)
    assert (bank.key_row(key).held, bank.key_row(key).active) == (HOLD, 1)


def test_new_api_6609_a_rich_account_is_guarded_like_a_poor_one(
    bank: Bank, elsewhere: Callable[[str], Bank]
) -> None:
    """Above a hundred times the price nothing was held, so the rich overdrew by parallel requests.

    The race begins where that trust would, and ends where the balance does.
    """
    account = bank.account(102 * HOLD)
    key = bank.key(account)
    outcomes = raced([elsewhere(f"p{n}") for n in range(4)], account, key, 27)
    assert outcomes == {"held": 102, "no_credit": 6}
    assert bank.ledger().balance(account) == Balance(102 * HOLD, 102 * HOLD, 0)


def test_litellm_40572_what_was_resolved_meanwhile_is_not_charged_beside_it(bank: Bank) -> None:
    """Where the hold could not be reconciled, the cost was added on top of it: counted twice."""
    account = bank.account(1000)
    key = bank.key(account)
    edit = hold(bank, account, key, owner="slow")
    bank.ledger("slow").submit(edit)
    bank.now += DEAD_AFTER_MS
    assert sweep(bank.store, bank.clock, bank.new_id) == 1
    with pytest.raises(HoldLost):
        bank.ledger("slow").post(edit, 60, DELIVERED)
    assert bank.ledger().balance(account) == Balance(1000, 0, 0)
    assert (bank.key_row(key).spent, bank.key_row(key).held) == (0, 0)


def test_litellm_40572_a_charge_that_failed_half_way_is_made_once(bank: Bank) -> None:
    """The clean-up after a failed reconciliation forgot that the hold still stood."""
    account = bank.account(1000)
    key = bank.key(account)
    edit, ledger = hold(bank, account, key), bank.ledger()
    ledger.submit(edit)

    def fails(_: Connection) -> None:
        raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError):
        ledger.post(edit, 60, DELIVERED, also=fails)
    assert ledger.balance(account) == Balance(1000, HOLD, 0)
    assert ledger.post(edit, 60, DELIVERED) == 60
    with pytest.raises(HoldLost):
        ledger.post(edit, 60, DELIVERED)
    assert not ledger.void(edit, FAILED)
    assert ledger.balance(account) == Balance(940, 0, 60)
    assert (bank.key_row(key).spent, bank.key_row(key).active) == (60, 0)
