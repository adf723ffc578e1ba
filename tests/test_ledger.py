"""The ledger: what each step moves, what it refuses, and that each happens once."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, insert
from sqlalchemy.exc import IntegrityError

from server.accounts import schema
from server.accounts.audit import audit
from server.accounts.ledger import Balance, Ending, HoldLost, Ledger
from server.accounts.store import Store
from server.domain import Tokens
from tests.ledgers import DELIVERED, FAILED, NOON, Bank

pytest_plugins = ("tests.databases",)


@pytest.fixture
def bank(store: Store) -> Iterator[Bank]:
    """A store that passes the audit at the end of every test."""
    bank = Bank(store)
    yield bank
    assert audit(store) == []


def held(bank: Bank, amount: int = 100, credit: int = 1000) -> tuple[Ledger, str, str, str]:
    """Return a ledger, an account, its key, and the edit that holds `amount`."""
    ledger, account = bank.ledger(), bank.account(credit)
    key = bank.key(account)
    order = bank.order(account, key, amount)
    ledger.hold(order)
    return ledger, account, key, order.edit_id


def test_a_hold_moves_credit_aside_and_records_the_edit(bank: Bank) -> None:
    ledger, account, key, edit_id = held(bank)
    assert ledger.balance(account) == Balance(posted=1000, held=100, spent=0)
    row = bank.edit(edit_id)
    assert (row.state, row.owner, row.hold, row.created) == ("held", "me", 100, NOON)
    assert (row.account_id, row.key_id, row.user, row.model) == (account, key, "anna", "openai/x")
    assert (row.cost, row.loss, row.submitted, row.ended, row.outcome) == (0, 0, None, None, "")
    assert (row.fingerprint, row.claims, row.delivered) == ("f" * 64, 0, False)
    assert bank.booked(edit_id, "hold") == {f"customer:{account}": -100, f"held:{account}": 100}
    assert (bank.key_row(key).held, bank.key_row(key).active) == (100, 1)


def test_a_post_charges_the_cost_and_gives_the_rest_back(bank: Bank) -> None:
    ledger, account, key, edit_id = held(bank)
    ledger.submit(edit_id)
    bank.now += 61_000
    ending = Ending(
        "delivered",
        route="openai gpt-image-2",
        attempts=2,
        upstream_ms=60_900,
        tokens=Tokens(input=1809, input_text=20, input_image=1789, output=7106),
        mask_method="native",
    )
    assert ledger.post(edit_id, 70, ending) == 70
    assert ledger.balance(account) == Balance(posted=930, held=0, spent=70)
    row = bank.edit(edit_id)
    assert (row.state, row.cost, row.loss) == ("posted", 70, 0)
    assert (row.submitted, row.ended) == (NOON, NOON + 61_000)
    assert (row.outcome, row.message, row.field) == ("delivered", "", None)
    assert (row.route, row.attempts, row.upstream_ms) == ("openai gpt-image-2", 2, 60_900)
    assert (row.input_tokens, row.input_text_tokens, row.output_tokens) == (1809, 20, 7106)
    assert row.mask_method == "native"
    customer, kept = f"customer:{account}", f"held:{account}"
    assert bank.booked(edit_id, "post") == {kept: -100, customer: 30, "revenue": 70}
    row = bank.key_row(key)
    assert (row.held, row.active, row.spent) == (0, 0, 70)


def test_more_than_the_hold_is_the_operators_loss_and_is_logged(
    bank: Bank, caplog: pytest.LogCaptureFixture
) -> None:
    ledger, account, _, edit_id = held(bank)
    ledger.submit(edit_id)
    with caplog.at_level(logging.WARNING, "imageedit.accounts"):
        assert ledger.post(edit_id, 130, DELIVERED) == 100
    assert ledger.balance(account) == Balance(posted=900, held=0, spent=100)
    assert (bank.edit(edit_id).cost, bank.edit(edit_id).loss) == (100, 30)
    assert bank.booked(edit_id, "post") == {
        f"held:{account}": -100,
        "revenue": 100,
        "loss_overrun": 30,
        "payable": -30,
    }
    (record,) = caplog.records
    line = {"event": "overrun", "edit_id": edit_id, "cost": 130, "charged": 100}
    assert vars(record)["line"] == line


def test_a_void_gives_all_back(bank: Bank) -> None:
    ledger, account, key, edit_id = held(bank)
    ending = Ending("bad_request", "The prompt was refused.", "prompt", attempts=1)
    assert ledger.void(edit_id, ending)
    assert ledger.balance(account) == Balance(posted=1000, held=0, spent=0)
    row = bank.edit(edit_id)
    assert (row.state, row.cost, row.loss) == ("voided", 0, 0)
    assert (row.outcome, row.message, row.field) == (ending.outcome, ending.message, ending.field)
    assert bank.booked(edit_id, "void") == {f"customer:{account}": 100, f"held:{account}": -100}
    assert (bank.key_row(key).held, bank.key_row(key).active, bank.key_row(key).spent) == (0, 0, 0)


def test_an_unknown_outcome_costs_the_customer_nothing_and_is_booked_as_loss(bank: Bank) -> None:
    ledger, account, _, edit_id = held(bank)
    ledger.submit(edit_id)
    assert ledger.unknown(edit_id, 80, FAILED)
    assert ledger.balance(account) == Balance(posted=1000, held=0, spent=0)
    assert (bank.edit(edit_id).state, bank.edit(edit_id).loss) == ("unknown", 80)
    assert bank.booked(edit_id, "unknown") == {
        f"held:{account}": -100,
        f"customer:{account}": 100,
        "loss_unknown_outcome": 80,
        "payable": -80,
    }


def test_submitting_again_keeps_the_first_time(bank: Bank) -> None:
    ledger, _, _, edit_id = held(bank)
    ledger.submit(edit_id)
    bank.now += 5000
    ledger.submit(edit_id)
    assert bank.edit(edit_id).submitted == NOON
    assert ledger.void(edit_id, FAILED)


# What a verb does in a state: the state it leads to, or None where it is refused.
TRANSITIONS: dict[str, dict[str, str | None]] = {
    "held": {"submit": "submitted", "post": None, "void": "voided", "unknown": None},
    "submitted": {
        "submit": "submitted",
        "post": "posted",
        "void": "voided",
        "unknown": "unknown",
    },
    "posted": dict.fromkeys(["submit", "post", "void", "unknown"]),
    "voided": dict.fromkeys(["submit", "post", "void", "unknown"]),
    "unknown": dict.fromkeys(["submit", "post", "void", "unknown"]),
    "another's": dict.fromkeys(["submit", "post", "void", "unknown"]),
    "absent": dict.fromkeys(["submit", "post", "void", "unknown"]),
}


def say(ledger: Ledger, verb: str, edit_id: str) -> bool:
    """Do what `verb` says; tell whether it was done."""
    try:
        match verb:
            case "submit":
                ledger.submit(edit_id)
                return True
            case "post":
                return ledger.post(edit_id, 40, DELIVERED) == 40
            case "void":
                return ledger.void(edit_id, FAILED)
            case _:
                return ledger.unknown(edit_id, 60, FAILED)
    except HoldLost:
        assert verb in {"submit", "post"}
        return False


@pytest.mark.parametrize("verb", ["submit", "post", "void", "unknown"])
@pytest.mark.parametrize("state", list(TRANSITIONS))
def test_every_verb_in_every_state(bank: Bank, state: str, verb: str) -> None:
    ledger, account, _, edit_id = held(bank)
    if state in {"submitted", "posted", "unknown"}:
        ledger.submit(edit_id)
    if state in {"posted", "voided", "unknown"}:
        assert say(ledger, {"posted": "post", "voided": "void"}.get(state, state), edit_id)
    by = bank.ledger("another") if state == "another's" else ledger
    before = bank.edit(edit_id), ledger.balance(account), bank.count(schema.entries)
    asked = "nobody" if state == "absent" else edit_id
    expected = TRANSITIONS[state][verb]
    assert say(by, verb, asked) == (expected is not None)
    if expected is None:
        assert before == (bank.edit(edit_id), ledger.balance(account), bank.count(schema.entries))
    else:
        assert bank.edit(edit_id).state == expected


def test_an_edits_id_is_used_once(bank: Bank) -> None:
    ledger, account, key, edit_id = held(bank)
    again = bank.order(account, key)
    with pytest.raises(IntegrityError):
        ledger.hold(type(again)(edit_id, account, key, "", "m", 5, ""))
    assert ledger.balance(account).held == 100


def test_what_is_done_with_a_hold_is_undone_with_it(bank: Bank) -> None:
    ledger, account = bank.ledger(), bank.account(1000)
    order = bank.order(account, bank.key(account))

    def claim(connection: Connection) -> None:
        row = {"account_id": account, "key": "k", "fingerprint": "", "edit_id": order.edit_id}
        connection.execute(insert(schema.claims).values(row | {"created": NOON}))

    def fail(connection: Connection) -> None:
        claim(connection)
        raise LookupError

    with pytest.raises(LookupError):
        ledger.hold(order, also=fail)
    assert ledger.balance(account).held == 0
    assert bank.count(schema.claims) == 0
    ledger.hold(order, also=claim)
    assert bank.count(schema.claims) == 1


def test_a_result_is_stored_with_the_charge_or_not_at_all(bank: Bank) -> None:
    ledger, account, _, edit_id = held(bank)
    ledger.submit(edit_id)

    def keep(connection: Connection) -> None:
        row = {"edit_id": edit_id, "facts": "{}", "picture": b"png", "bytes": 3, "created": NOON}
        connection.execute(insert(schema.results).values(row | {"expires": NOON + 600_000}))

    def fail(connection: Connection) -> None:
        keep(connection)
        raise LookupError

    with pytest.raises(LookupError):
        ledger.post(edit_id, 70, DELIVERED, also=fail)
    assert (bank.edit(edit_id).state, bank.count(schema.results)) == ("submitted", 0)
    assert ledger.balance(account) == Balance(1000, 100, 0)
    assert ledger.post(edit_id, 70, DELIVERED, also=keep) == 70
    assert bank.count(schema.results) == 1
    with pytest.raises(HoldLost):
        ledger.post(edit_id, 70, DELIVERED, also=fail)


def test_a_free_edit_books_nothing_and_still_ends_once(bank: Bank) -> None:
    ledger, account, key, edit_id = held(bank, amount=0, credit=0)
    assert bank.key_row(key).active == 1
    ledger.submit(edit_id)
    assert ledger.post(edit_id, 0, DELIVERED) == 0
    assert not ledger.void(edit_id, FAILED)
    assert ledger.balance(account) == Balance(0, 0, 0)
    assert bank.count(schema.entries) == 0


def test_negative_amounts_are_refused(bank: Bank) -> None:
    ledger, account, key, edit_id = held(bank)
    ledger.submit(edit_id)
    with pytest.raises(ValueError, match="negative"):
        ledger.hold(bank.order(account, key, -1))
    with pytest.raises(ValueError, match="negative"):
        ledger.post(edit_id, -1, DELIVERED)
    with pytest.raises(ValueError, match="negative"):
        ledger.unknown(edit_id, -1, FAILED)
