"""Retries without a key: each takes one original of the same content, and pays nothing again."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product

import pytest

from server.accounts.idempotency import OriginalFailed
from server.accounts.store import Store
from server.domain import EditError, Situation
from tests.idempotent_calls import MINUTE, Calls, Patience, Stage

pytest_plugins = ("tests.databases",)


@pytest.fixture
def stage(store: Store) -> Stage:
    return Stage(store)


@pytest.fixture
def calls(stage: Stage) -> Calls:
    return stage.calls


def retried(calls: Calls, retry: int = 1) -> str | None:
    """Return the edit that a retry is given."""
    replay = calls.begin(retry=retry)
    if replay is None:
        return None
    assert replay.picture == replay.edit_id.encode()
    return replay.edit_id


def test_first_attempts_are_never_merged(calls: Calls) -> None:
    for _ in range(3):
        assert calls.begin() is None
        calls.post(calls.submit())
    calls.submit()
    assert calls.begin() is None


def test_a_retry_gets_the_answer_that_was_cut(calls: Calls) -> None:
    edit_id = calls.submit()
    calls.post(edit_id)
    assert retried(calls, 1) == edit_id
    assert retried(calls, 2) == edit_id


def test_a_retry_waits_for_an_original_under_way(stage: Stage, calls: Calls) -> None:
    edit_id = calls.submit()
    stage.act = lambda: calls.post(edit_id)
    assert retried(calls) == edit_id


def test_a_retry_that_was_cut_while_it_waited_has_a_retry_too(stage: Stage, calls: Calls) -> None:
    edit_id = calls.hold()
    with pytest.raises(EditError) as caught:
        calls.begin(retry=1, waiter=Patience(looks=1))
    assert caught.value.situation is Situation.CANCELLED
    calls.ledger.submit(edit_id)
    stage.act = lambda: calls.post(edit_id)
    assert retried(calls, 2) == edit_id


def test_three_parallel_calls_each_cut_and_retried_get_three_pictures(calls: Calls) -> None:
    edits = [calls.submit() for _ in range(3)]
    for edit_id in edits:
        calls.post(edit_id)
    assert {retried(calls) for _ in range(3)} == set(edits)
    assert retried(calls) is None


def test_the_oldest_comes_first(stage: Stage, calls: Calls) -> None:
    edits = []
    for _ in range(3):
        stage.clock.now += 1
        edits.append(calls.submit())
    for edit_id in reversed(edits):
        calls.post(edit_id)
    assert [retried(calls) for _ in range(3)] == edits


def test_one_that_was_not_delivered_comes_before_one_that_was(stage: Stage, calls: Calls) -> None:
    delivered = calls.submit()
    calls.post(delivered)
    calls.idempotency.confirm(calls.account_id, delivered)
    stage.clock.now += 1
    cut = calls.submit()
    calls.post(cut)
    assert retried(calls) == cut
    # What the front wrote may not have arrived: no other is left, so it was this one.
    assert retried(calls) == delivered


def test_a_finished_one_comes_before_one_that_is_under_way(stage: Stage, calls: Calls) -> None:
    under_way = calls.submit()
    stage.clock.now += 1
    cut = calls.submit()
    calls.post(cut)
    assert retried(calls) == cut
    stage.act = lambda: calls.post(under_way)
    assert retried(calls) == under_way


def test_an_old_error_does_not_hide_a_paid_picture(stage: Stage, calls: Calls) -> None:
    calls.fail(calls.submit(), Situation.UPSTREAM_FAILED, billable=True)
    stage.clock.now += 1
    paid = calls.submit()
    calls.post(paid)
    calls.idempotency.confirm(calls.account_id, paid)
    assert retried(calls) == paid


def test_the_second_retry_leaves_first_retries_their_originals(stage: Stage, calls: Calls) -> None:
    """Whichever is older: an original that a retry 1 had is of no use to another retry 1."""
    untouched = calls.submit()
    stage.clock.now += 1
    had_by_retry_1 = calls.submit()
    calls.post(had_by_retry_1)
    assert retried(calls, 1) == had_by_retry_1
    calls.post(untouched)
    assert retried(calls, 2) == had_by_retry_1
    assert retried(calls, 1) == untouched


def test_a_retry_that_finds_nothing_runs_as_new(calls: Calls) -> None:
    assert retried(calls, 2) is None


def test_other_content_and_other_accounts_are_never_seen(stage: Stage, calls: Calls) -> None:
    calls.post(calls.submit())
    assert calls.begin(retry=1, fingerprint="0" * 64) is None
    assert retried(stage.account(), 2) is None


@pytest.mark.parametrize(("age", "found"), [(10 * MINUTE - 1, True), (10 * MINUTE + 1, False)])
def test_an_answer_is_kept_for_ten_minutes_after_its_end(
    stage: Stage, calls: Calls, age: int, found: bool
) -> None:
    edit_id = calls.submit()
    stage.clock.now += 4 * MINUTE
    calls.post(edit_id)
    stage.clock.now += age
    assert (retried(calls) == edit_id) is found


@pytest.mark.parametrize(
    "situation",
    [
        Situation.BAD_REQUEST,
        Situation.UPSTREAM_FAILED,
        Situation.UPSTREAM_TIMEOUT,
        Situation.BUG,
    ],
)
def test_an_error_after_submission_is_given_again(stage: Stage, situation: Situation) -> None:
    for waits, billable in product((False, True), repeat=2):
        calls = stage.account()
        end = partial(calls.fail, calls.submit(), situation, billable=billable, field="prompt")
        if waits:
            stage.act = end
        else:
            end()
        for retry in (1, 2):
            with pytest.raises(OriginalFailed) as caught:
                calls.begin(retry=retry)
            assert caught.value.situation is situation
            assert (caught.value.message, caught.value.field) == (situation.name, "prompt")


@pytest.mark.parametrize(("age", "again"), [(10 * MINUTE, True), (10 * MINUTE + 1, False)])
def test_an_error_is_given_again_for_ten_minutes(
    stage: Stage, calls: Calls, age: int, again: bool
) -> None:
    calls.fail(calls.submit(), Situation.UPSTREAM_FAILED, billable=True)
    stage.clock.now += age
    if again:
        with pytest.raises(OriginalFailed):
            calls.begin(retry=1)
    else:
        assert calls.begin(retry=1) is None


@pytest.mark.parametrize(
    "end",
    [
        lambda calls, edit_id: calls.lose(edit_id),
        lambda calls, edit_id: calls.lose(edit_id, billable=False),
        lambda calls, edit_id: calls.fail(edit_id, Situation.UPSTREAM_BUSY),
    ],
    ids=["lost and maybe sent", "lost", "busy"],
)
@pytest.mark.parametrize("waits", [False, True])
def test_what_surely_must_be_done_again_runs_as_new(
    stage: Stage, calls: Calls, end: Callable[[Calls, str], None], waits: bool
) -> None:
    edit_id = calls.submit()
    if waits:
        stage.act = lambda: end(calls, edit_id)
    else:
        end(calls, edit_id)
    assert retried(calls) is None
    new = calls.submit()
    calls.post(new)
    assert retried(calls, 2) == new


def test_what_was_never_sent_runs_as_new(stage: Stage, calls: Calls) -> None:
    calls.fail(calls.hold(), Situation.CANCELLED)
    assert retried(calls) is None
    held = calls.hold()
    stage.act = lambda: calls.fail(held, Situation.BUG)
    assert retried(calls) is None


def test_a_lost_edit_does_not_stand_before_a_good_one(stage: Stage, calls: Calls) -> None:
    calls.lose(calls.submit())
    stage.clock.now += 1
    good = calls.submit()
    calls.post(good)
    assert retried(calls) == good


def test_an_answer_that_made_room_runs_as_new(stage: Stage, calls: Calls) -> None:
    calls.post(calls.submit())
    with stage.store.write() as connection:
        connection.exec_driver_sql("DELETE FROM results")
    assert retried(calls) is None


def test_a_confirmation_is_the_accounts_own_and_may_be_repeated(stage: Stage, calls: Calls) -> None:
    edit_id = calls.submit()
    calls.post(edit_id)
    stage.account().idempotency.confirm(stage.account().account_id, edit_id)
    calls.idempotency.confirm(calls.account_id, "no such edit")
    assert not calls.row(edit_id).delivered
    for _ in range(2):
        calls.idempotency.confirm(calls.account_id, edit_id)
        assert calls.row(edit_id).delivered
    retried(calls)
    assert not calls.row(edit_id).delivered


def test_several_are_confirmed_at_once(stage: Stage, calls: Calls) -> None:
    edits = [calls.submit() for _ in range(3)]
    for edit_id in edits:
        calls.post(edit_id)
    calls.idempotency.confirm(calls.account_id, *edits[:2], "no such edit")
    assert [calls.row(edit_id).delivered for edit_id in edits] == [True, True, False]
