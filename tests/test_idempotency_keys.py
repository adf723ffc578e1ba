"""Idempotency keys: one edit under a key for 24 hours, however often it is asked for."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from server.accounts.audit import audit
from server.accounts.idempotency import ClaimTaken, OriginalFailed
from server.accounts.idempotency_key import read_key
from server.accounts.store import Store
from server.domain import EditError, Situation
from tests.idempotent_calls import MINUTE, Calls, Patience, Stage

pytest_plugins = ("tests.databases",)

KEY = "order-17"
DAY = 24 * 60 * MINUTE


@pytest.fixture
def stage(store: Store) -> Stage:
    return Stage(store)


@pytest.fixture
def calls(stage: Stage) -> Calls:
    return stage.calls


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ("a", "a"),
        ("8e03978e-40d5-43e8-bc93-6894a57f9324", "8e03978e-40d5-43e8-bc93-6894a57f9324"),
        ('"8e03978e-40d5"', "8e03978e-40d5"),
        ("two words", "two words"),
        ('"two words"', "two words"),
        (r'"a\"b\\c"', r'a"b\c'),
        (r"a\b", r"a\b"),
        ('a"b', 'a"b'),
        ("x" * 255, "x" * 255),
        ('"' + "x" * 255 + '"', "x" * 255),
    ],
)
def test_a_key_is_read_bare_or_quoted(value: str, key: str) -> None:
    assert read_key(value) == key


@pytest.mark.parametrize(
    "value",
    ["", '""', '"', '"a', '"a"b"', '"a";b=1', r'"a\b"', "x" * 256]
    + ['"' + "x" * 256 + '"', "tab\there", "line\n", "é", "\x7f", "\x00"],
)
def test_a_malformed_key_is_a_400_that_names_the_header(value: str) -> None:
    with pytest.raises(EditError) as caught:
        read_key(value)
    assert caught.value.situation is Situation.BAD_REQUEST
    assert caught.value.field == "Idempotency-Key"


def test_nothing_begins_under_a_malformed_key(calls: Calls) -> None:
    for ask in (lambda: calls.begin(key=""), lambda: calls.hold("")):
        with pytest.raises(EditError) as caught:
            ask()
        assert caught.value.situation is Situation.BAD_REQUEST
    assert calls.rows() == []


def test_the_first_request_runs_and_the_same_again_gets_its_bytes(calls: Calls) -> None:
    assert calls.begin(key=KEY) is None
    edit_id = calls.submit(KEY)
    picture = calls.post(edit_id, KEY)
    for key in (KEY, f'"{KEY}"', KEY):
        for retry in (0, 2):
            replay = calls.begin(key=key, retry=retry)
            assert replay is not None
            assert (replay.edit_id, replay.picture) == (edit_id, picture)
            assert replay.facts == {"cost": 40_000_000}
    assert len(calls.rows()) == 1


@pytest.mark.parametrize("state", ["held", "submitted", "posted", "voided"])
def test_another_request_under_the_key_is_refused(calls: Calls, state: str) -> None:
    edit_id = calls.hold(KEY) if state == "held" else calls.submit(KEY)
    if state == "posted":
        calls.post(edit_id, KEY)
    if state == "voided":
        calls.fail(edit_id, Situation.UPSTREAM_FAILED)
    with pytest.raises(EditError) as caught:
        calls.begin(key=KEY, fingerprint="0" * 64)
    assert caught.value.situation is Situation.IDEMPOTENCY_REUSED
    assert caught.value.field == "Idempotency-Key"
    with pytest.raises(ClaimTaken):
        calls.hold(KEY, "0" * 64)
    assert len(calls.rows()) == 1


def test_another_accounts_same_key_is_another_key(stage: Stage, calls: Calls) -> None:
    calls.post(calls.submit(KEY), KEY)
    other = stage.account()
    assert other.begin(key=KEY) is None
    assert other.begin(key=KEY, fingerprint="0" * 64) is None
    own = other.submit(KEY)
    other.post(own, KEY)
    replay = other.begin(key=KEY)
    assert replay is not None
    assert replay.edit_id == own


def test_a_request_waits_for_an_original_under_way(stage: Stage, calls: Calls) -> None:
    edit_id = calls.submit(KEY)
    stage.act = lambda: calls.post(edit_id, KEY)
    replay = calls.begin(key=KEY)
    assert replay is not None
    assert replay.edit_id == edit_id
    assert stage.pauses == [0.05]


def test_looks_at_the_original_get_rarer(stage: Stage, calls: Calls) -> None:
    calls.submit(KEY)
    with pytest.raises(EditError):
        calls.begin(key=KEY, waiter=Patience(looks=5))
    assert stage.pauses == [0.05, 0.1, 0.2, 0.25, 0.25]


def test_no_pause_is_longer_than_the_callers_time(stage: Stage, calls: Calls) -> None:
    edit_id = calls.submit(KEY)
    stage.act = lambda: calls.post(edit_id, KEY)
    calls.begin(key=KEY, waiter=Patience(seconds=0.01))
    assert stage.pauses == [0.01]


@pytest.mark.parametrize(
    ("waiter", "situation"),
    [
        (Patience(looks=1), Situation.CANCELLED),
        (Patience(seconds=0.0), Situation.UPSTREAM_TIMEOUT),
        (Patience(seconds=-1.0, looks=0), Situation.UPSTREAM_TIMEOUT),
    ],
)
def test_waiting_ends_with_the_caller(calls: Calls, waiter: Patience, situation: Situation) -> None:
    edit_id = calls.submit(KEY)
    with pytest.raises(EditError) as caught:
        calls.begin(key=KEY, waiter=waiter)
    assert caught.value.situation is situation
    assert not isinstance(caught.value, OriginalFailed)
    picture = calls.post(edit_id, KEY)
    replay = calls.begin(key=KEY, waiter=Patience(seconds=0.0, looks=0))
    assert replay is not None
    assert replay.picture == picture


def test_who_waited_gets_the_originals_error(stage: Stage, calls: Calls) -> None:
    edit_id = calls.submit(KEY)
    stage.act = lambda: calls.fail(edit_id, Situation.BAD_REQUEST, field="prompt")
    with pytest.raises(OriginalFailed) as caught:
        calls.begin(key=KEY)
    assert caught.value.situation is Situation.BAD_REQUEST
    assert (caught.value.message, caught.value.field) == ("BAD_REQUEST", "prompt")


@pytest.mark.parametrize(
    "end",
    [
        lambda calls, edit_id: calls.lose(edit_id),
        lambda calls, edit_id: calls.lose(edit_id, billable=False),
        lambda calls, edit_id: calls.fail(edit_id, Situation.UPSTREAM_BUSY),
    ],
    ids=["lost and maybe sent", "lost", "busy"],
)
def test_who_waited_for_nothing_runs_as_new(
    stage: Stage, calls: Calls, end: Callable[[Calls, str], None]
) -> None:
    edit_id = calls.submit(KEY)
    stage.act = lambda: end(calls, edit_id)
    assert calls.begin(key=KEY) is None
    new = calls.submit(KEY)
    calls.post(new, KEY)
    replay = calls.begin(key=KEY)
    assert replay is not None
    assert replay.edit_id == new


def test_who_waited_for_one_that_was_never_sent_runs_as_new(stage: Stage, calls: Calls) -> None:
    edit_id = calls.hold(KEY)
    stage.act = lambda: calls.fail(edit_id, Situation.CANCELLED)
    assert calls.begin(key=KEY) is None
    calls.hold(KEY)


def test_a_definite_failure_runs_anew_when_asked_for_anew(calls: Calls) -> None:
    calls.fail(calls.submit(KEY), Situation.UPSTREAM_FAILED)
    assert calls.begin(key=KEY) is None
    picture = calls.post(calls.submit(KEY), KEY)
    replay = calls.begin(key=KEY)
    assert replay is not None
    assert replay.picture == picture
    assert len(calls.submissions) == 2


@pytest.mark.parametrize("retry", [0, 1, 2])
def test_an_unknown_outcome_keeps_its_key(calls: Calls, retry: int) -> None:
    """The vendor may have billed it, so nothing under this key is sent a second time."""
    calls.fail(calls.submit(KEY), Situation.UPSTREAM_TIMEOUT, billable=True)
    for _ in range(3):
        with pytest.raises(OriginalFailed) as caught:
            calls.begin(key=KEY, retry=retry)
        assert caught.value.situation is Situation.UPSTREAM_TIMEOUT
    with pytest.raises(ClaimTaken):
        calls.hold(KEY)


@pytest.mark.parametrize("retry", [0, 1])
def test_an_edit_that_a_crash_left_open_runs_anew(calls: Calls, retry: int) -> None:
    calls.lose(calls.submit(KEY))
    assert calls.begin(key=KEY, retry=retry) is None
    calls.post(calls.submit(KEY), KEY)


def test_an_automatic_retry_of_a_failed_edit_gets_the_error_that_it_missed(calls: Calls) -> None:
    calls.fail(calls.submit(KEY), Situation.UPSTREAM_FAILED)
    for retry in (1, 2):
        with pytest.raises(OriginalFailed) as caught:
            calls.begin(key=KEY, retry=retry)
        assert caught.value.situation is Situation.UPSTREAM_FAILED
    # A retry of that number was answered before, so this one belongs to another call.
    assert calls.begin(key=KEY, retry=1) is None


def test_a_key_is_kept_for_24_hours_and_is_free_then(stage: Stage, calls: Calls) -> None:
    first = calls.submit(KEY)
    stage.clock.now += 5 * MINUTE
    calls.post(first, KEY)
    stage.clock.now += DAY - 5 * MINUTE - 1
    calls.results.purge(stage.clock.now)
    replay = calls.begin(key=KEY)
    assert replay is not None
    assert replay.edit_id == first
    with pytest.raises(ClaimTaken):
        calls.hold(KEY)
    stage.clock.now += 1
    assert calls.begin(key=KEY) is None
    assert calls.begin(key=KEY, fingerprint="0" * 64) is None
    calls.hold(KEY, "0" * 64)


def test_a_purged_key_is_free(stage: Stage, calls: Calls) -> None:
    calls.post(calls.submit(KEY), KEY)
    stage.clock.now += DAY
    calls.results.purge(stage.clock.now)
    assert calls.begin(key=KEY) is None
    calls.hold(KEY)


def test_a_paid_edit_whose_picture_made_room_is_not_paid_again(stage: Stage, calls: Calls) -> None:
    calls.post(calls.submit(KEY), KEY)
    calls.results.purge(stage.clock.now + DAY - 1)
    assert calls.begin(key=KEY) is not None
    with stage.store.write() as connection:
        connection.exec_driver_sql("DELETE FROM results")
    with pytest.raises(EditError) as caught:
        calls.begin(key=KEY)
    assert caught.value.situation is Situation.BAD_REQUEST
    assert caught.value.field == "Idempotency-Key"
    with pytest.raises(ClaimTaken):
        calls.hold(KEY)


def test_a_claim_that_was_taken_leaves_nothing_behind(stage: Stage, calls: Calls) -> None:
    """Also when the hold that it rides on was good: all of it rolls back."""
    before = calls.submit(KEY)
    with pytest.raises(ClaimTaken):
        calls.hold(KEY)
    assert [row.id for row in calls.rows()] == [before]
    assert audit(stage.store) == []


def test_a_key_and_no_key_do_not_meet(calls: Calls) -> None:
    """Neither takes an unkeyed retry a keyed edit, nor a keyed request an unkeyed one."""
    calls.post(calls.submit(KEY), KEY)
    assert calls.begin(retry=1) is None
    assert calls.begin(key="another", retry=1) is None


def test_results_are_kept_longer_under_a_key(calls: Calls) -> None:
    assert calls.idempotency.keep_ms(KEY) == DAY
    assert calls.idempotency.keep_ms(None) == 10 * MINUTE
