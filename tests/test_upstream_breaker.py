"""The breaker beside a model of a page, and what it owes a crowd of threads.

IMAGEEDIT_TEST_MODEL_RUNS says how many runs of fifty steps are made.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from server.upstream.breaker import Breaker, CircuitOpen, Passage, Verdict

RUNS = int(os.environ.get("IMAGEEDIT_TEST_MODEL_RUNS", "100"))
GOOD, FAULT, NEITHER = Verdict.GOOD, Verdict.FAULT, Verdict.NEITHER


@dataclass
class Clock:
    """Seconds, as a test sets them; and the number that chance gives."""

    now: float = 1000.0
    chance: float = 0.0

    def breaker(self, faults: int = 5) -> Breaker:
        return Breaker(faults, clock=lambda: self.now, chance=lambda: self.chance)


def outcome(breaker: Breaker, verdict: Verdict) -> None:
    breaker.enter().end(verdict)


def opened(clock: Clock) -> Breaker:
    breaker = clock.breaker()
    for _ in range(5):
        outcome(breaker, FAULT)
    return breaker


def refused(breaker: Breaker) -> float:
    """Return the wait that an attempt is told, which must not pass."""
    with pytest.raises(CircuitOpen) as caught:
        breaker.enter()
    return caught.value.retry_after


class Beside(RuleBasedStateMachine):
    """Attempts that begin and end in any order, with time between, and the model's own account."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.breaker = self.clock.breaker()
        self.under_way: list[tuple[Passage, object]] = []
        self.in_a_row = 0
        self.openings = 0
        self.until: float | None = None
        self.probe: object | None = None
        self.since: object = object()  # which change of state an attempt began after

    @property
    def expected(self) -> str:
        if self.until is None:
            return "closed"
        return "open" if self.clock.now < self.until else "half_open"

    @rule()
    def begin(self) -> None:
        if self.expected == "open":
            assert self.until is not None
            wait = self.until - self.clock.now
            assert refused(self.breaker) == min(max(wait, 1), 60)
        elif self.expected == "half_open" and self.probe is self.since:
            assert refused(self.breaker) == 10
        else:
            self.under_way.append((self.breaker.enter(), self.since))
            if self.expected == "half_open":
                self.probe = self.since

    @precondition(lambda self: self.under_way)
    @rule(pick=st.integers(0, 99), verdict=st.sampled_from([GOOD, FAULT, FAULT, FAULT, NEITHER]))
    def end(self, pick: int, verdict: Verdict) -> None:
        passage, since = self.under_way.pop(pick % len(self.under_way))
        before = self.expected
        passage.end(verdict)
        if since is not self.since:
            return
        self.probe = None
        if verdict is GOOD:
            self.in_a_row = self.openings = 0
            if before != "closed":
                self.until, self.since = None, object()
        elif verdict is FAULT:
            self.in_a_row += 1
            if before == "half_open" or self.in_a_row >= 5:
                self.openings += 1
                pause = min(300.0, 30 * self.openings * (1 + 0.2 * self.clock.chance))
                self.until, self.since = self.clock.now + pause, object()

    @rule(seconds=st.sampled_from([0.5, 29.0, 30.0, 61.0, 300.0]))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule(chance=st.floats(0, 1))
    def draw(self, chance: float) -> None:
        self.clock.chance = chance

    @invariant()
    def agree(self) -> None:
        assert self.breaker.state == self.expected


def test_it_agrees_with_a_model_whatever_happens() -> None:
    run_state_machine_as_test(Beside, settings=settings(max_examples=RUNS, stateful_step_count=50))


def test_the_fifth_fault_in_a_row_opens_it() -> None:
    breaker = Clock().breaker()
    for verdict in (FAULT,) * 4 + (GOOD,) + (FAULT,) * 2 + (NEITHER,) + (FAULT,) * 2:
        outcome(breaker, verdict)
        assert breaker.state == "closed"
    outcome(breaker, FAULT)
    assert breaker.state == "open"


def test_what_says_nothing_of_the_upstream_never_opens_it() -> None:
    breaker = Clock().breaker()
    for _ in range(100):
        outcome(breaker, NEITHER)
    assert breaker.state == "closed"


@pytest.mark.parametrize(("chance", "stretch"), [(0.0, 1.0), (0.5, 1.1), (1.0, 1.2)])
def test_it_stays_open_longer_each_time_and_never_over_five_minutes(
    chance: float, stretch: float
) -> None:
    clock = Clock(chance=chance)
    breaker = opened(clock)
    for opening in range(1, 15):
        pause = min(300.0, 30 * opening * stretch)
        clock.now += pause - 0.01
        assert breaker.state == "open"
        clock.now += 0.02
        assert breaker.state == "half_open"
        outcome(breaker, FAULT)


def test_a_picture_closes_it_and_the_next_opening_is_short_again() -> None:
    clock = Clock()
    breaker = opened(clock)
    for _ in range(3):
        clock.now += 300
        outcome(breaker, FAULT)
    clock.now += 300
    outcome(breaker, GOOD)
    assert breaker.state == "closed"
    for _ in range(5):
        outcome(breaker, FAULT)
    clock.now += 30
    assert breaker.state == "half_open"


def test_a_probe_that_says_nothing_gives_its_place_back() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += 30
    probe = breaker.enter()
    assert refused(breaker) == 10
    probe.end(NEITHER)
    assert breaker.state == "half_open"
    outcome(breaker, GOOD)
    assert breaker.state == "closed"


@pytest.mark.parametrize(("elapsed", "told"), [(0.0, 60), (90.0, 60), (100.0, 50), (149.9, 1)])
def test_the_wait_is_told_within_a_minute(elapsed: float, told: float) -> None:
    clock = Clock()
    breaker = opened(clock)
    for pause in (30, 60, 90, 120):
        clock.now += pause
        outcome(breaker, FAULT)
    clock.now += elapsed
    assert refused(breaker) == told


def test_one_that_began_before_the_opening_has_no_say() -> None:
    clock = Clock()
    breaker = clock.breaker()
    early = [breaker.enter() for _ in range(20)]
    for passage in early[:5]:
        passage.end(FAULT)
    for passage in early[5:19]:
        passage.end(FAULT)
    early[19].end(GOOD)
    assert breaker.state == "open"
    clock.now += 30
    assert breaker.state == "half_open"


def test_with_no_limit_it_never_opens() -> None:
    breaker = Clock().breaker(faults=0)
    for _ in range(50):
        outcome(breaker, FAULT)
    assert breaker.state == "closed"


def test_of_a_crowd_one_probes() -> None:
    clock = Clock()
    for _ in range(20):
        breaker = opened(clock)
        clock.now += 60

        def enters(door: Callable[[], Passage] = breaker.enter) -> bool:
            try:
                door()
            except CircuitOpen:
                return False
            return True

        with ThreadPoolExecutor(16) as pool:
            assert sum(pool.map(lambda _, enters=enters: enters(), range(64))) == 1
