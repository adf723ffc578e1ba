"""Admission: the rule by which keys share places and bytes, against a model, and what refuses."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.admission import Admission
from server.domain import EditError, Situation
from server.fair_share import FairShare

KEYS = ("a", "b", "c", "d")
STEPS = st.lists(
    st.tuples(st.sampled_from(("take", "take", "give")), st.sampled_from(KEYS), st.integers(1, 9)),
    max_size=80,
)


def may_take(capacity: int, held: dict[str, int], key: str, amount: int) -> bool:
    """Say the rule once more, as plainly as can be."""
    total = sum(held.values()) + amount
    if total > capacity:
        return False
    kept = 0 if capacity < 2 else max(1, capacity // 20)
    if total <= capacity - kept:
        return True
    holders = {other for other, amount in held.items() if amount} | {key}
    return held[key] < Fraction(capacity, max(2, len(holders)))


@given(capacity=st.integers(1, 60), steps=STEPS, unit=st.booleans())
def test_the_share_agrees_with_the_rule(
    capacity: int, steps: list[tuple[str, str, int]], *, unit: bool
) -> None:
    share, held = FairShare(capacity), dict.fromkeys(KEYS, 0)
    for step, key, drawn in steps:
        amount = 1 if unit else drawn
        if step == "take":
            expected = may_take(capacity, held, key, amount)
            assert share.has(key, amount) == expected
            assert share.take(key, amount) == expected
            held[key] += amount * expected
        elif held[key] >= amount:
            share.give(key, amount)
            held[key] -= amount
        assert share.held == sum(held.values()) <= capacity


@given(capacity=st.integers(2, 400))
def test_a_lone_key_gets_nine_tenths_and_leaves_a_place_for_the_next(capacity: int) -> None:
    share = FairShare(capacity)
    taken = sum(share.take("a") for _ in range(2 * capacity))
    assert taken < capacity
    assert taken >= capacity * 9 // 10
    assert share.take("b")


@given(capacity=st.integers(2, 60), steps=STEPS)
def test_a_key_that_holds_nothing_is_never_refused_while_a_place_is_free(
    capacity: int, steps: list[tuple[str, str, int]]
) -> None:
    share, held = FairShare(capacity), dict.fromkeys(KEYS, 0)
    for step, key, _ in steps:
        if step == "take":
            held[key] += share.take(key)
        elif held[key]:
            share.give(key)
            held[key] -= 1
        assert share.has("newcomer") == (share.held < capacity)


def test_one_place_is_anyones() -> None:
    share = FairShare(1)
    assert share.take("a")
    assert not share.take("b")


def refused(error: pytest.ExceptionInfo[EditError], says: str) -> bool:
    return (
        error.value.situation is Situation.UPSTREAM_BUSY
        and error.value.retry_after == 5
        and says in error.value.message
    )


def test_threads_get_as_many_places_as_there_are() -> None:
    admission, together = Admission(40, 1), threading.Barrier(60)
    everyone_asked = threading.Barrier(60)

    def ask(number: int) -> bool:
        together.wait()
        try:
            with admission.place(f"key {number}"):
                everyone_asked.wait()
                return True
        except EditError:
            everyone_asked.wait()
            return False

    with ThreadPoolExecutor(60) as pool:
        assert sum(pool.map(ask, range(60))) == 40
    assert admission.held == 0


def test_bytes_are_counted_until_the_edit_ends() -> None:
    admission = Admission(10, 1000)
    with admission.load("a") as first, admission.load("b") as second:
        first.add(600)
        with pytest.raises(EditError) as caught:
            first.add(380)  # the last twentieth is not for who has over half
        assert refused(caught, "as many pictures")
        second.add(400)
        assert admission.bytes_in_flight == 1000
        with pytest.raises(EditError):
            second.add(1)
        assert second.size == 400
    assert admission.bytes_in_flight == 0


def test_bytes_are_free_again_after_a_failure() -> None:
    admission = Admission(10, 1000)

    def fail() -> None:
        with admission.load("a") as load:
            load.add(500)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert admission.bytes_in_flight == 0


def test_stalled_uploads_leave_the_places_of_edits_alone() -> None:
    admission = Admission(4, 1)
    with ExitStack() as stack:
        for key in KEYS:
            stack.enter_context(admission.upload(key))
        with pytest.raises(EditError) as caught, admission.upload("e"):
            pass
        assert refused(caught, "receives as many")
        assert (admission.receiving, admission.held) == (4, 0)
        for key in KEYS:
            admission.check(key)
            stack.enter_context(admission.place(key))
        with pytest.raises(EditError) as caught:
            admission.check("a")
        assert refused(caught, "as many edits")
    assert (admission.receiving, admission.held) == (0, 0)


def test_a_drain_refuses_at_once_and_waits_for_what_is_held() -> None:
    admission = Admission(4, 1)
    drained = threading.Event()
    with admission.place("a"):
        assert not admission.drain(0)
        assert admission.draining
        for refusal in (admission.place, admission.upload):
            with pytest.raises(EditError) as caught, refusal("b"):
                pass
            assert refused(caught, "shutting down")
        with pytest.raises(EditError):
            admission.check("b")
        threading.Thread(target=lambda: admission.drain(20) and drained.set()).start()
        assert not drained.is_set()
    assert drained.wait(5)
