"""The retry budget: a table of what it grants, and 1,000 edits against an upstream that is down."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.upstream.budget import RetryBudget
from server.upstream.fates import AttemptFailed
from server.upstream.watchdog import Watchdog
from tests.staged_vendors import Errand, attempts_at

# Edits before, and how many further tries are granted then, one after another.
GRANTS = [
    (0, 10),
    (1, 10),
    (49, 10),
    (50, 10),
    (1000, 10),
]


@pytest.mark.parametrize(("edits", "granted"), GRANTS)
def test_what_is_saved_is_ten_at_the_most(edits: int, granted: int) -> None:
    budget = RetryBudget()
    for _ in range(edits):
        budget.earn()
    assert [budget.spend() for _ in range(granted + 5)] == [True] * granted + [False] * 5


# How often an edit asks, and how many of 1,000 edits get a further try.
PACES = [(1, 200), (2, 199), (5, 199), (6, 167), (10, 100), (100, 10)]


@pytest.mark.parametrize(("every", "granted"), PACES)
def test_of_a_thousand_edits_a_fifth_gets_another_try(every: int, granted: int) -> None:
    budget = RetryBudget()
    got = 0
    for edit in range(1000):
        budget.earn()
        if edit % every == 0:
            got += budget.spend()
    assert got == granted


def test_an_empty_budget_grants_nothing_until_five_edits_later() -> None:
    budget = RetryBudget()
    for _ in range(50):
        budget.earn()
    while budget.spend():
        pass
    for _ in range(4):
        budget.earn()
        assert not budget.spend()
    budget.earn()
    assert [budget.spend(), budget.spend()] == [True, False]


@given(st.lists(st.booleans(), max_size=400))
def test_at_any_pace_the_bound_holds(steps: list[bool]) -> None:
    budget, edits, tries = RetryBudget(), 0, 0
    for is_edit in steps:
        if is_edit:
            budget.earn()
            edits += 1
        else:
            tries += budget.spend()
        assert tries <= max(10, edits / 5)


def test_threads_take_no_more_than_there_is() -> None:
    budget = RetryBudget()
    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(lambda _: budget.spend(), range(500))) == 10


@pytest.fixture
def watchdog() -> Iterator[Watchdog]:
    watchdog = Watchdog()
    yield watchdog
    watchdog.close()


@pytest.mark.parametrize("providers", [("openrouter",), ("openrouter", "openai")])
@pytest.mark.parametrize(("faults", "most"), [(0, 1200), (5, 5)])
def test_a_dead_upstream_is_asked_a_fifth_more_often_at_the_most(
    watchdog: Watchdog, providers: tuple[str, ...], faults: int, most: int
) -> None:
    """Without a breaker the budget alone holds; with one, five tries of a route are enough."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        dead = f"http://127.0.0.1:{listener.getsockname()[1]}"
    origins = dict.fromkeys(providers, dead)
    attempts, routes = attempts_at(origins, watchdog, faults=faults, backoff=0.0)
    tried = []
    for _ in range(1000):
        edit = Errand()
        with pytest.raises(AttemptFailed) as caught:
            attempts.fetch(routes, edit, edit)
        assert caught.value.error.retry_after is not None
        assert edit.submitted == 0
        tried += [record for record in edit.records if record.fate != "circuit_open"]
    asked = Counter(record.provider for record in tried)
    assert max(asked.values()) <= most
    # The last route alone is asked again.
    assert sum(asked.values()) == (5 * len(providers) if faults else 1000 * len(providers) + 200)
    assert {record.fate for record in tried} == {"unsent"}
