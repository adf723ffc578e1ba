from __future__ import annotations

import gc
import logging
import threading
import time
from collections.abc import Iterator
from queue import SimpleQueue

import pytest

from server.upstream.watchdog import Ticket, Watchdog


@pytest.fixture
def watchdog() -> Iterator[Watchdog]:
    watchdog = Watchdog()
    yield watchdog
    watchdog.close()


def test_calls_in_the_order_of_time_not_of_asking(watchdog: Watchdog) -> None:
    calls: SimpleQueue[str] = SimpleQueue()
    now = time.monotonic()
    for name, delay in (("third", 0.09), ("first", 0.03), ("second", 0.06)):
        watchdog.at(now + delay, lambda name=name: calls.put(name))
    assert [calls.get(timeout=2) for _ in range(3)] == ["first", "second", "third"]
    assert time.monotonic() - now >= 0.09


def test_equal_times_are_called_in_the_order_of_asking(watchdog: Watchdog) -> None:
    calls: SimpleQueue[int] = SimpleQueue()
    when = time.monotonic() + 0.05
    for number in range(50):
        watchdog.at(when, lambda number=number: calls.put(number))
    assert [calls.get(timeout=2) for _ in range(50)] == list(range(50))


def test_a_past_time_is_called_at_once(watchdog: Watchdog) -> None:
    called = threading.Event()
    watchdog.at(time.monotonic() - 10, called.set)
    assert called.wait(2)


def test_a_callback_is_punctual_while_others_are_far_away(watchdog: Watchdog) -> None:
    watchdog.at(float("inf"), lambda: None)
    watchdog.at(time.monotonic() + 3600, lambda: None)
    called: SimpleQueue[float] = SimpleQueue()
    due = time.monotonic() + 0.1
    watchdog.at(due, lambda: called.put(time.monotonic()))
    assert 0 <= called.get(timeout=2) - due < 0.1


def test_a_cancelled_callback_is_never_called_and_its_ticket_may_be_cancelled_again(
    watchdog: Watchdog,
) -> None:
    calls: list[str] = []
    after = threading.Event()
    now = time.monotonic()
    ticket = watchdog.at(now + 0.03, lambda: calls.append("cancelled"))
    watchdog.at(now + 0.06, after.set)
    ticket.cancel()
    ticket.cancel()
    assert after.wait(2)
    assert calls == []


def test_a_broken_callback_stops_no_other(
    watchdog: Watchdog, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> None:
        raise ValueError("a bug")

    called = threading.Event()
    now = time.monotonic()
    with caplog.at_level(logging.ERROR):
        watchdog.at(now, broken)
        watchdog.at(now + 0.03, called.set)
        assert called.wait(2)
    assert "a watchdog callback failed" in caplog.text


def test_a_thousand_callbacks_need_one_thread(watchdog: Watchdog) -> None:
    before = threading.active_count()
    for _ in range(1000):
        watchdog.at(time.monotonic() + 60, lambda: None)
    assert threading.active_count() == before


def test_close_drops_what_is_due_and_ends_the_thread() -> None:
    before = threading.active_count()
    watchdog = Watchdog()
    calls: list[str] = []
    watchdog.at(time.monotonic() + 0.03, lambda: calls.append("late"))
    watchdog.close()
    watchdog.close()
    assert threading.active_count() == before
    assert calls == []
    with pytest.raises(RuntimeError, match="closed"):
        watchdog.at(time.monotonic(), lambda: None)


def test_a_callback_may_close_its_own_watchdog() -> None:
    watchdog = Watchdog()
    closed = threading.Event()

    def close() -> None:
        watchdog.close()
        closed.set()

    watchdog.at(time.monotonic(), close)
    assert closed.wait(2)


def test_what_was_cancelled_is_swept_out(watchdog: Watchdog) -> None:
    calls: SimpleQueue[str] = SimpleQueue()
    watchdog.at(time.monotonic() + 300, lambda: None).cancel()
    kept = [watchdog.at(time.monotonic() + 300, lambda: None) for _ in range(100)]
    for _ in range(5_000):
        watchdog.at(time.monotonic() + 300, lambda: None).cancel()
    assert sum(isinstance(one, Ticket) for one in gc.get_objects()) < 4 * len(kept)
    watchdog.at(time.monotonic() + 0.03, lambda: calls.put("sooner"))
    assert calls.get(timeout=2) == "sooner"


def test_one_behind_what_was_cancelled_is_called_in_time(watchdog: Watchdog) -> None:
    calls: SimpleQueue[float] = SimpleQueue()
    due = time.monotonic() + 0.1
    sooner = [watchdog.at(due - delay, lambda: calls.put(0)) for delay in (0.08, 0.06)]
    watchdog.at(due, lambda: calls.put(time.monotonic()))
    for ticket in sooner:
        ticket.cancel()
    assert calls.get(timeout=2) >= due
