"""What a hold needs: credit that is free, a live key, its spending limit and its places."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from server.accounts import schema
from server.accounts.audit import audit
from server.accounts.keys import invalid_key
from server.accounts.ledger import Balance
from server.accounts.store import Store
from server.domain import EditError, Situation
from tests.ledgers import DELIVERED, FAILED, NOON, Bank

pytest_plugins = ("tests.databases",)

DOLLAR = 1_000_000_000


@pytest.fixture
def bank(store: Store) -> Iterator[Bank]:
    """A store that passes the audit at the end of every test."""
    bank = Bank(store)
    yield bank
    assert audit(store) == []


def test_a_hold_needs_credit_that_is_free(bank: Bank) -> None:
    ledger, account = bank.ledger(), bank.account(DOLLAR)
    key = bank.key(account)
    ledger.hold(bank.order(account, key, 900_000_000))
    with pytest.raises(EditError) as refused:
        ledger.hold(bank.order(account, key, 227_592_000))
    assert refused.value.situation is Situation.NO_CREDIT
    assert refused.value.retry_after is None
    assert refused.value.message == (
        "Not enough credit: this edit needs up to $0.227592, $0.10 is left."
    )
    ledger.hold(bank.order(account, key, 100_000_000))  # to the last nano-dollar
    assert ledger.balance(account) == Balance(DOLLAR, DOLLAR, 0)
    assert bank.count(schema.edits) == 2


@pytest.mark.parametrize(
    "facts",
    [{"revoked": NOON}, {"ends": NOON}, {"ends": NOON - 1}, {"revoked": NOON + 9, "ends": NOON}],
    ids=str,
)
def test_a_key_that_ended_holds_nothing(bank: Bank, facts: dict[str, int | None]) -> None:
    account = bank.account(1000)
    refuse(bank, account, bank.key(account, **facts), invalid_key())


def test_the_key_of_another_account_holds_nothing(bank: Bank) -> None:
    account, other = bank.account(1000), bank.account(1000)
    refuse(bank, account, bank.key(other), invalid_key())
    refuse(bank, account, "nobody", invalid_key())


def test_a_key_that_ends_later_holds(bank: Bank) -> None:
    account = bank.account(1000)
    bank.ledger().hold(bank.order(account, bank.key(account, ends=NOON + 1)))


def test_a_key_has_so_many_edits_at_a_time(bank: Bank) -> None:
    ledger, account = bank.ledger(), bank.account(1000)
    key = bank.key(account, concurrency=2)
    first = bank.order(account, key)
    ledger.hold(first)
    ledger.hold(bank.order(account, key))
    limited = EditError(
        Situation.LIMITED,
        "This key may have 2 edits under way at a time; wait until one ends.",
        limit="2 concurrent edits",
        retry_after=5,
    )
    refuse(bank, account, key, limited)
    ledger.void(first.edit_id, FAILED)
    ledger.hold(bank.order(account, key))


def test_a_key_spends_up_to_its_limit_holds_included(bank: Bank) -> None:
    ledger, account = bank.ledger(), bank.account(1000)
    key = bank.key(account, spend_limit=250)
    order = bank.order(account, key)
    ledger.hold(order)
    ledger.submit(order.edit_id)
    ledger.post(order.edit_id, 60, DELIVERED)
    ledger.hold(bank.order(account, key))
    refused = EditError(
        Situation.NO_CREDIT,
        "The spending limit of this key is reached: this edit needs up to $0.0000001,"
        " $0.00000009 of $0.00000025 is left. The balance may hold more.",
    )
    refuse(bank, account, key, refused)
    ledger.hold(bank.order(account, key, 90))
    ledger.hold(bank.order(account, bank.key(account)))  # another key of the account has no limit


def refuse(bank: Bank, account: str, key: str, expected: EditError) -> None:
    """Assert that a hold is refused with `expected`, and nothing changed."""
    ledger = bank.ledger()
    before = ledger.balance(account), bank.count(schema.edits)
    with pytest.raises(EditError) as refused:
        ledger.hold(bank.order(account, key))
    assert vars(refused.value) == vars(expected)
    assert before == (ledger.balance(account), bank.count(schema.edits))
