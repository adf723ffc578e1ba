"""Credit is added, taken back and told exactly: whole nano-dollars, never a float."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import server.accounts
from server.accounts import journal, schema
from server.accounts.audit import audit
from server.accounts.credit import MOST, dollars
from server.accounts.ledger import Balance
from server.accounts.store import Store
from tests.ledgers import NOON, Bank

pytest_plugins = ("tests.databases",)


@pytest.fixture
def bank(store: Store) -> Iterator[Bank]:
    """A store that passes the audit at the end of every test."""
    bank = Bank(store)
    yield bank
    assert audit(store) == []


def test_credit_is_added_and_taken_back_up_to_what_is_free(bank: Bank) -> None:
    ledger, account = bank.ledger(), bank.account(1000)
    ledger.hold(bank.order(account, bank.key(account), 100))
    ledger.top_up(account, 500)
    ledger.top_up(account, -1400)
    ledger.top_up(account, 0)
    assert ledger.balance(account) == Balance(100, 100, 0)
    for refused in (-1, MOST + 1, -MOST - 1):
        with pytest.raises(ValueError, match="more than it has free|at most"):
            ledger.top_up(account, refused)
    with pytest.raises(ValueError, match="no such account"):
        ledger.top_up("nobody", 1)
    assert ledger.balance(account) == Balance(100, 100, 0)


def test_a_top_up_is_booked_against_the_funding(bank: Bank) -> None:
    account = bank.account(700)
    assert bank.booked(None, "top_up") == {f"customer:{account}": 700, "funding": -700}


def test_no_balance_without_an_account(bank: Bank) -> None:
    with pytest.raises(KeyError):
        bank.ledger().balance("nobody")


def test_the_journal_refuses_what_does_not_sum_to_nothing(bank: Bank) -> None:
    event = journal.Event("e", "top_up", NOON)
    with bank.store.write() as connection, pytest.raises(ValueError, match="do not sum to 0"):
        journal.book(connection, event, {"revenue": 5, "funding": -4})
    assert bank.count(schema.entries) == 0


@pytest.mark.parametrize(
    ("nanos", "words"),
    [
        (0, "$0.00"),
        (1, "$0.000000001"),
        (227_592_000, "$0.227592"),
        (100_000_000, "$0.10"),
        (12_345_000_000_000, "$12345.00"),
        (-1_500_000_000, "-$1.50"),
    ],
)
def test_dollars_in_words(nanos: int, words: str) -> None:
    assert dollars(nanos) == words


# They know no money, and wait or measure time with libraries that want seconds as floats.
WITHOUT_MONEY = {
    "housekeeping.py",
    "idempotency.py",
    "limits.py",
    "moving_window.py",
    "originals.py",
    "picture_files.py",
}


def test_there_is_no_float_where_there_is_money() -> None:
    found = []
    for path in sorted(Path(server.accounts.__file__).parent.rglob("*.py")):
        if path.name in WITHOUT_MONEY:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            literal = isinstance(node, ast.Constant) and isinstance(node.value, float | complex)
            name = isinstance(node, ast.Name) and node.id == "float"
            division = isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div)
            if literal or name or division:
                found.append(f"{path.name}: {ast.unparse(node)}")
    assert found == []
