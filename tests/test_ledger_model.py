"""Whatever is done to the ledger, in whatever order: it agrees with a model of a page.

IMAGEEDIT_TEST_MODEL_RUNS says how many runs of fifty steps are made.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Connection, select, update
from sqlalchemy.exc import IntegrityError

from server.accounts import schema
from server.accounts.audit import audit
from server.accounts.ledger import Balance, HoldLost, Order
from server.accounts.store import connect
from server.accounts.sweeper import HOLD_TTL_MS, sweep
from server.domain import EditError
from tests import ledger_model as model
from tests.databases import Postgres, sqlite_url
from tests.ledgers import DELIVERED, FAILED, NOON, Bank

pytest_plugins = ("tests.databases",)

RUNS = int(os.environ.get("IMAGEEDIT_TEST_MODEL_RUNS", "15"))

OWNERS = ("me", "another")
whole = st.integers(0, 60)
picks = st.integers(0, 1000)
owners = st.sampled_from(OWNERS)


class Crash(Exception):
    """The service dies in the middle of a transaction."""


def crash(_: Connection) -> None:
    raise Crash


class Books(RuleBasedStateMachine):
    """The ledger beside its model. `make` returns a fresh database's URL and how to drop it."""

    make: Callable[[], tuple[str, Callable[[], None]]]

    def __init__(self) -> None:
        super().__init__()
        self.url, self.drop = type(self).make()
        self.bank = Bank(connect(self.url))
        self.model = model.Model(NOON)

    def teardown(self) -> None:
        try:
            assert audit(self.bank.store) == []
        finally:
            self.bank.store.close()
            self.drop()

    @initialize(limit=st.none() | st.integers(50, 200), concurrency=st.integers(1, 4))
    def open(self, limit: int | None, concurrency: int) -> None:
        for number in range(2):
            account = self.bank.account(100 * number)
            self.model.accounts[account] = model.Account(100 * number)
            for limits in ((concurrency, None), (50, limit)):
                key = self.bank.key(account, concurrency=limits[0], spend_limit=limits[1])
                self.model.keys[key] = model.Key(account, *limits)

    @rule(pick=picks, amount=st.integers(-60, 120))
    def top_up(self, pick: int, amount: int) -> None:
        account = self._pick(self.model.accounts, pick)
        expected = self.model.top_up(account, amount)
        self._same(expected, lambda: self.bank.ledger().top_up(account, amount))

    @rule(pick=picks, amount=whole, owner=owners)
    def hold(self, pick: int, amount: int, owner: str) -> None:
        self._hold(self.bank.new_id(), pick, amount, owner)

    @precondition(lambda self: self.model.edits)
    @rule(edit=picks, pick=picks, amount=whole, owner=owners)
    def hold_again(self, edit: int, pick: int, amount: int, owner: str) -> None:
        self._hold(self._pick(self.model.edits, edit), pick, amount, owner)

    def _hold(self, edit_id: str, pick: int, amount: int, owner: str) -> None:
        key = self._pick(self.model.keys, pick)
        account = self.model.keys[key].account
        expected = self.model.hold(edit_id, key, owner, amount)
        order = Order(edit_id, account, key, "", "openai/x", amount, "")
        self._same(expected, lambda: self.bank.ledger(owner).hold(order))

    @precondition(lambda self: self.model.edits)
    @rule(pick=picks, owner=owners)
    def submit(self, pick: int, owner: str) -> None:
        edit = self._pick(self.model.edits, pick)
        expected = self.model.submit(edit, owner)
        self._same(expected, lambda: self.bank.ledger(owner).submit(edit))

    @precondition(lambda self: self.model.edits)
    @rule(pick=picks, owner=owners, cost=whole)
    def post(self, pick: int, owner: str, cost: int) -> None:
        edit = self._pick(self.model.edits, pick)
        expected = self.model.end(edit, owner, "posted", {"submitted"}, cost=cost)
        self._same(expected, lambda: self.bank.ledger(owner).post(edit, cost, DELIVERED))

    @precondition(lambda self: self.model.edits)
    @rule(pick=picks, owner=owners)
    def void(self, pick: int, owner: str) -> None:
        edit = self._pick(self.model.edits, pick)
        expected = self.model.end(edit, owner, "voided", {"held", "submitted"})
        assert self.bank.ledger(owner).void(edit, FAILED) == (expected == "done")

    @precondition(lambda self: self.model.edits)
    @rule(pick=picks, owner=owners, loss=whole)
    def unknown(self, pick: int, owner: str, loss: int) -> None:
        edit = self._pick(self.model.edits, pick)
        expected = self.model.end(edit, owner, "unknown", {"submitted"}, loss=loss)
        assert self.bank.ledger(owner).unknown(edit, loss, FAILED) == (expected == "done")

    @rule(ms=st.sampled_from([1, 1000, 3999, 4000]) | st.just(HOLD_TTL_MS))
    def wait(self, ms: int) -> None:
        self.bank.now = self.model.now = self.model.now + ms

    @rule(owner=owners)
    def beat(self, owner: str) -> None:
        known = owner in self.model.beats
        self.model.beats[owner] = self.model.now
        if not known:
            self.bank.beat(owner)
            return
        with self.bank.store.write() as connection:
            instances = schema.instances
            changed = update(instances).where(instances.c.id == owner)
            connection.execute(changed.values(heartbeat=self.bank.now))

    @rule()
    def sweep(self) -> None:
        expected = self.model.sweep()
        assert sweep(self.bank.store, self.bank.clock, self.bank.new_id) == expected

    @rule(pick=picks)
    def revoke(self, pick: int) -> None:
        if pick % 10:  # seldom: a run without keys shows little
            return
        key = self._pick(self.model.keys, pick)
        self.model.keys[key].revoked = True
        with self.bank.store.write() as connection:
            revoked = update(schema.keys).where(schema.keys.c.id == key)
            connection.execute(revoked.values(revoked=self.bank.now))

    @rule(pick=picks, owner=owners)
    def crash_in_a_hold(self, pick: int, owner: str) -> None:
        """What was not committed leaves nothing."""
        key = self._pick(self.model.keys, pick)
        order = self.bank.order(self.model.keys[key].account, key, 1)
        with pytest.raises((Crash, EditError)):
            self.bank.ledger(owner).hold(order, also=crash)

    @precondition(lambda self: self.model.edits)
    @rule(pick=picks, owner=owners)
    def crash_in_a_post(self, pick: int, owner: str) -> None:
        edit = self._pick(self.model.edits, pick)
        with pytest.raises((Crash, HoldLost)):
            self.bank.ledger(owner).post(edit, 1, DELIVERED, also=crash)

    @rule()
    def reopen(self) -> None:
        self.bank.store.close()
        self.bank.store = connect(self.url)

    @invariant()
    def balances_and_keys_and_states_agree(self) -> None:
        for account_id, account in self.model.accounts.items():
            keys = [key for key in self.model.keys.values() if key.account == account_id]
            held = self.model.held(account=account_id)
            balance = Balance(account.posted, held, sum(key.spent for key in keys))
            assert self.bank.ledger().balance(account_id) == balance
        with self.bank.store.read() as connection:
            columns = schema.keys.c
            rows = connection.execute(
                select(columns.id, columns.held, columns.active, columns.spent)
            ).all()
            columns = schema.edits.c
            edits = connection.execute(
                select(columns.id, columns.state, columns.cost, columns.loss)
            ).all()
        assert sorted(rows) == sorted(
            (key_id, self.model.held(key=key_id), len(self.model.live(key=key_id)), key.spent)
            for key_id, key in self.model.keys.items()
        )
        assert sorted(edits) == sorted(
            (edit_id, edit.state, edit.cost, edit.loss)
            for edit_id, edit in self.model.edits.items()
        )

    @staticmethod
    def _pick(known: Iterable[str], pick: int) -> str:
        names = list(known)
        return names[pick % len(names)]

    @staticmethod
    def _same(expected: str, act: Callable[[], object]) -> None:
        try:
            act()
            done = "done"
        except EditError as error:
            done = error.situation.value
        except HoldLost:
            done = "lost"
        except IntegrityError:
            done = "duplicate"
        except ValueError:
            done = "refused"
        assert done == expected


def run(make: Callable[[], tuple[str, Callable[[], None]]], runs: int) -> None:
    machine = type("Books", (Books,), {"make": staticmethod(make)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=runs,
            stateful_step_count=50,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),  # a database is slow, and each run takes one
        ),
    )


@pytest.mark.timeout(60 + RUNS)
def test_any_steps_on_sqlite(tmp_path: Path) -> None:
    template = tmp_path / "template"
    store = connect(sqlite_url(template))
    store.migrate()
    store.close()

    def make() -> tuple[str, Callable[[], None]]:
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        shutil.copytree(template, folder, dirs_exist_ok=True)
        return sqlite_url(folder), lambda: shutil.rmtree(folder)

    run(make, RUNS)


@pytest.mark.timeout(60 + RUNS)
def test_any_steps_on_postgresql(postgres: Postgres) -> None:
    def make() -> tuple[str, Callable[[], None]]:
        return postgres.emptied(), lambda: None

    run(make, RUNS // 5)
