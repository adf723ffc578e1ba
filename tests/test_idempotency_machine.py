"""Callers of equal requests whose connections are cut anywhere: one submission a call."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import hypothesis.strategies as st
from hypothesis import HealthCheck, given, settings
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    rule,
    run_state_machine_as_test,
)

from server.accounts.audit import audit
from server.accounts.store import Store, open_store
from server.domain import EditError
from tests import whole
from tests.databases import sqlite_url
from tests.idempotent_calls import Calls, Clock, Patience


@contextmanager
def fresh_store() -> Iterator[Store]:
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(sqlite_url(Path(folder)))
        try:
            yield store
        finally:
            store.close()


@dataclass
class Caller:
    """A call as its client sees it: how often it was tried, and what came of it."""

    tries: int = 0


class Callers(RuleBasedStateMachine):
    """One account, one content. Whoever waits for an original sees it end at the next pause."""

    trying = Bundle("trying")  # (caller, edit): the last attempt is at the service
    cut = Bundle("cut")  # callers whose last attempt was cut

    store: Store

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.calls = Calls(self.store, clock=self.clock, pause=self._finish_all)
        self.other = Calls(self.store, clock=self.clock)
        self.made = 0
        self.under_way: set[str] = set()

    def _finish_all(self, _seconds: float = 0) -> None:
        for edit_id in self.under_way:
            self.calls.post(edit_id)
        self.under_way.clear()

    def _attempt(self, caller: Caller) -> str:
        """Return the edit of a caller's next attempt."""
        self.clock.now += 1
        replay = self.calls.begin(retry=caller.tries)
        caller.tries += 1
        if replay is not None:
            assert replay.picture == replay.edit_id.encode()
            return replay.edit_id
        edit_id = self.calls.submit()
        self.under_way.add(edit_id)
        return edit_id

    @rule(target=trying)
    def call(self) -> tuple[Caller, str]:
        caller = Caller()
        self.made += 1
        return caller, self._attempt(caller)

    @rule(target=cut)
    def call_that_is_cut_on_its_way(self) -> Caller:
        self.made += 1
        return Caller(tries=1)

    @rule(target=trying, caller=consumes(cut))
    def retry(self, caller: Caller) -> tuple[Caller, str]:
        assert caller.tries > 0
        return caller, self._attempt(caller)

    @rule(target=cut, caller=consumes(cut))
    def retry_that_is_cut_on_its_way(self, caller: Caller) -> Caller:
        caller.tries += 1
        return caller

    @rule(target=cut, caller=consumes(cut))
    def retry_that_is_cut_while_it_waits(self, caller: Caller) -> Caller:
        submitted = len(self.calls.submissions)
        try:
            replay = self.calls.begin(retry=caller.tries, waiter=Patience(looks=0))
        except EditError:
            pass
        else:
            if replay is None:
                self.under_way.add(self.calls.submit())
                submitted += 1
        caller.tries += 1
        assert len(self.calls.submissions) == submitted
        return caller

    @rule(edit=st.data())
    def an_edit_ends(self, edit: st.DataObject) -> None:
        if self.under_way:
            edit_id = edit.draw(st.sampled_from(sorted(self.under_way, key=self._made_at)))
            self.under_way.remove(edit_id)
            self.calls.post(edit_id)

    def _made_at(self, edit_id: str) -> int:
        return self.calls.submissions.index(edit_id)

    @rule(attempt=consumes(trying))
    def an_answer_arrives(self, attempt: tuple[Caller, str]) -> None:
        _, edit_id = attempt
        self._finish_all()
        self.calls.idempotency.confirm(self.calls.account_id, edit_id)

    @rule(target=cut, attempt=consumes(trying), confirmed=st.booleans())
    def an_answer_is_cut(self, attempt: tuple[Caller, str], confirmed: bool) -> Caller:
        """`confirmed`: it was written whole, and cut behind the front."""
        caller, edit_id = attempt
        if confirmed and edit_id not in self.under_way:
            self.calls.idempotency.confirm(self.calls.account_id, edit_id)
        return caller

    @invariant()
    def no_call_is_submitted_twice(self) -> None:
        assert len(self.calls.submissions) <= self.made

    def teardown(self) -> None:
        assert self.other.begin(retry=9) is None
        assert audit(self.store) == []


def test_no_call_is_submitted_twice_however_it_is_cut() -> None:
    with fresh_store() as opened:

        class OfThisStore(Callers):
            store = opened

        run_state_machine_as_test(
            OfThisStore,
            settings=settings(
                max_examples=whole.of(40, 15),
                stateful_step_count=25,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )


@settings(max_examples=whole.of(30, 12), deadline=None)
@given(number=st.integers(1, 4), order=st.randoms(use_true_random=False))
def test_parallel_equal_calls_each_cut_once_get_a_picture_each(number: int, order: Random) -> None:
    """Cut while the edit is under way or after its end, confirmed or not, retried in any order."""
    with fresh_store() as store:
        under_way: list[str] = []

        def finish_one(_seconds: float) -> None:
            calls.post(under_way.pop(order.randrange(len(under_way))))

        clock = Clock()
        calls = Calls(store, clock=clock, pause=finish_one)
        for _ in range(number):
            clock.now += 1
            assert calls.begin() is None
            under_way.append(calls.submit())
        pictures = []
        for _ in range(number):
            if under_way and order.random() < 0.5:
                finish_one(0)
            for edit_id in calls.submissions:
                if edit_id not in under_way and order.random() < 0.5:
                    calls.idempotency.confirm(calls.account_id, edit_id)
            replay = calls.begin(retry=1)
            assert replay is not None
            pictures.append(replay.picture)
        assert len(calls.submissions) == number
        assert sorted(pictures) == sorted(edit_id.encode() for edit_id in calls.submissions)
        assert audit(store) == []
