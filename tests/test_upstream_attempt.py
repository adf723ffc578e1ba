from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator

import pytest

from server.upstream.attempt import Attempt, Cancelled, Ended, TimedOut
from server.upstream.watchdog import Watchdog


@pytest.fixture(scope="module")
def watchdog() -> Iterator[Watchdog]:
    watchdog = Watchdog()
    yield watchdog
    watchdog.close()


@pytest.fixture
def attempt(watchdog: Watchdog) -> Iterator[Attempt]:
    with Attempt(60, watchdog) as attempt:
        yield attempt


def ended_by_time(watchdog: Watchdog) -> Attempt:
    return Attempt(0, watchdog)


def ended_by_cancel(watchdog: Watchdog) -> Attempt:
    attempt = Attempt(60, watchdog)
    attempt.cancel()
    return attempt


ENDINGS = pytest.mark.parametrize(
    ("ended", "error"), [(ended_by_time, TimedOut), (ended_by_cancel, Cancelled)]
)
Ending = Callable[[Watchdog], Attempt]


def test_a_fresh_attempt_has_its_time_and_sent_nothing(attempt: Attempt) -> None:
    attempt.check()
    assert 59 < attempt.remaining() <= 60
    assert (attempt.expired, attempt.cancelled, attempt.sent) == (False, False, False)


@ENDINGS
def test_an_ended_attempt_starts_nothing(
    watchdog: Watchdog, ended: Ending, error: type[Ended]
) -> None:
    attempt = ended(watchdog)
    ran: list[str] = []
    attempt.on_send = lambda: ran.append("hook")
    with pytest.raises(error) as caught:
        attempt.check()
    assert caught.value.sent is False
    with pytest.raises(error), attempt.guard(lambda: None):
        ran.append("block")
    with pytest.raises(error):
        attempt.pause(60)
    with pytest.raises(error):
        attempt.begin_sending()
    assert ran == []
    assert attempt.sent is False


def test_time_runs_out_without_anyone_asking(watchdog: Watchdog) -> None:
    cut = threading.Event()
    with Attempt(0.05, watchdog) as attempt, attempt.guard(cut.set):
        assert cut.wait(2)
        assert attempt.expired
        assert attempt.remaining() == 0


def test_the_first_ending_stands(watchdog: Watchdog) -> None:
    timed_out = ended_by_time(watchdog)
    assert timed_out.expired
    timed_out.cancel()
    assert (timed_out.expired, timed_out.cancelled) == (True, False)

    with Attempt(0.05, watchdog) as cancelled:
        cancelled.cancel()
        while cancelled.remaining():
            time.sleep(0.01)
        assert (cancelled.expired, cancelled.cancelled) == (False, True)


def test_cancelling_cuts_once_from_however_many_threads(attempt: Attempt) -> None:
    cuts: list[int] = []
    with attempt.guard(lambda: cuts.append(threading.get_ident())):
        threads = [threading.Thread(target=attempt.cancel) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        attempt.cancel()
    assert len(cuts) == 1


def test_nothing_is_cut_after_its_block(attempt: Attempt) -> None:
    cuts: list[str] = []
    with attempt.guard(lambda: cuts.append("first")):
        pass
    attempt.cancel()
    assert cuts == []


def test_a_cancel_between_two_blocks_is_met_by_the_second(attempt: Attempt) -> None:
    with attempt.guard(lambda: None):
        pass
    attempt.cancel()
    with pytest.raises(Cancelled), attempt.guard(lambda: None):
        pytest.fail("the block must not run")


def test_a_pause_ends_with_the_attempt(attempt: Attempt) -> None:
    threading.Timer(0.05, attempt.cancel).start()
    started = time.monotonic()
    with pytest.raises(Cancelled):
        attempt.pause(60)
    assert time.monotonic() - started < 1


def test_the_hook_runs_before_the_attempt_counts_as_sent(attempt: Attempt) -> None:
    seen: list[bool] = []
    attempt.on_send = lambda: seen.append(attempt.sent)
    attempt.begin_sending()
    assert seen == [False]
    assert attempt.sent is True


def test_a_failing_hook_leaves_the_attempt_unsent(attempt: Attempt) -> None:
    def fail() -> None:
        raise ConnectionError("the ledger is away")

    attempt.on_send = fail
    with pytest.raises(ConnectionError, match="ledger"):
        attempt.begin_sending()
    assert attempt.sent is False


def test_an_attempt_that_ends_during_the_hook_sends_nothing(attempt: Attempt) -> None:
    attempt.on_send = attempt.cancel
    with pytest.raises(Cancelled) as caught:
        attempt.begin_sending()
    assert (caught.value.sent, attempt.sent) == (False, False)


def test_an_attempt_pays_once(attempt: Attempt) -> None:
    attempt.begin_sending()
    with pytest.raises(RuntimeError, match="one paid request"):
        attempt.begin_sending()


def test_an_ending_after_sending_says_so(attempt: Attempt) -> None:
    attempt.begin_sending()
    attempt.cancel()
    with pytest.raises(Cancelled) as caught:
        attempt.check()
    assert caught.value.sent is True


def test_a_left_attempt_is_forgotten_by_the_watchdog(watchdog: Watchdog) -> None:
    with Attempt(60, watchdog) as attempt:
        gone = weakref.ref(attempt)
    del attempt
    gc.collect()
    assert gone() is None
