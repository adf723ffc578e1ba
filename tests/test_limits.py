"""Limits: exact for threads and processes, honest about the wait, and never in an edit's way."""

from __future__ import annotations

import logging
import socket
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from types import FrameType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.accounts import moving_window
from server.accounts.keys import Key
from server.accounts.limits import AGAIN_MS, WARN_MS, Allowance, Limits
from server.domain import EditError, Situation
from tests import whole
from tests.account_workers import SPAWN, hit_together, key, workers
from tests.redis_server import Redis

TIMES = whole.of(100, 30)

pytest_plugins = ("tests.redis_server",)

MINUTE = 60_000
FELL_BACK = "limits fell back to local counting"


class Clock:
    """Milliseconds that a test moves."""

    def __init__(self, now: int = 5_000_000) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def limits_at() -> Iterator[Callable[..., Limits]]:
    """Makes limits, and closes them after the test."""
    made: list[Limits] = []

    def make(clock: Clock, url: str | None = None, user_rate_limit: int | None = None) -> Limits:
        made.append(Limits(clock, redis_url=url, user_rate_limit=user_rate_limit))
        return made[-1]

    yield make
    for limits in made:
        limits.close()


def admitted(limits: Limits, asked: Key) -> bool:
    try:
        limits.hit(asked)
    except EditError as error:
        if error.situation is not Situation.LIMITED or error.retry_after not in range(1, 61):
            raise
        return False
    return True


def refusal(limits: Limits, asked: Key) -> EditError:
    with pytest.raises(EditError) as caught:
        limits.hit(asked)
    return caught.value


def test_what_is_left_is_counted_down_and_never_below_zero() -> None:
    limits, asked = Limits(Clock()), key(rate_limit=3)
    assert limits.peek(asked) == Allowance(3, 3)
    assert [limits.hit(asked).remaining for _ in range(3)] == [2, 1, 0]
    for _ in range(5):
        error = refusal(limits, asked)
        assert limits.peek(asked) == Allowance(3, 0)
    assert (error.situation, error.field) == (Situation.LIMITED, None)
    assert error.limit == "3 requests a minute"
    assert error.message == "This key may send 3 requests a minute. Try again in 60 s."


def test_looking_and_refusals_count_nothing() -> None:
    clock = Clock()
    limits, asked = Limits(clock), key(rate_limit=1)
    for _ in range(100):
        limits.peek(asked)
        limits.check(asked)
    limits.hit(asked)
    for _ in range(59):
        clock.now += 1_000
        error = refusal(limits, asked)
        with pytest.raises(EditError) as caught:
            limits.check(asked)
        assert caught.value.message == error.message
        assert caught.value.retry_after == error.retry_after
    clock.now += 1_000
    limits.check(asked)
    assert limits.hit(asked) == Allowance(1, 0)


def test_keys_do_not_share() -> None:
    limits = Limits(Clock())
    limits.hit(key("one", 1))
    assert limits.hit(key("two", 1)) == Allowance(1, 0)


def test_users_have_a_limit_of_their_own_under_each_account() -> None:
    limits = Limits(Clock(), user_rate_limit=2)
    for account in ("a", "b"):
        for user in ("mallory", "a/mallory", "\x00", "é" * 512):
            limits.hit_user(account, user)
            limits.hit_user(account, user)
            with pytest.raises(EditError) as caught:
                limits.hit_user(account, user)
            assert (caught.value.situation, caught.value.field) == (Situation.LIMITED, "user")
            assert caught.value.retry_after == 60
            assert user not in caught.value.message


def test_nobody_and_a_limit_that_is_off_are_not_counted() -> None:
    for limits, user in ((Limits(Clock(), user_rate_limit=1), ""), (Limits(Clock()), "x")):
        for _ in range(50):
            limits.hit_user("account", user)


# Milliseconds between the requests.
steps = st.one_of(st.integers(0, 3_000), st.sampled_from([59_999, MINUTE, MINUTE + 1, 1, 0]))


@given(
    limit=st.integers(1, 6),
    schedule=st.lists(st.tuples(steps, st.sampled_from("ab"), st.booleans()), max_size=80),
)
def test_it_agrees_with_an_oracle(limit: int, schedule: list[tuple[int, str, bool]]) -> None:
    clock = Clock()
    limits = Limits(clock)
    counted: dict[str, list[int]] = {"a": [], "b": []}
    for step, name, look in schedule:
        clock.now += step
        recent = [at for at in counted[name] if at > clock.now - MINUTE]
        if look:
            assert limits.peek(key(name, limit)) == Allowance(limit, limit - len(recent))
        elif len(recent) < limit:
            assert limits.hit(key(name, limit)) == Allowance(limit, limit - len(recent) - 1)
            counted[name].append(clock.now)
        else:
            wait = recent[-limit] + MINUTE - clock.now
            announced = refusal(limits, key(name, limit)).retry_after
            assert announced is not None
            assert wait <= announced * 1_000 <= wait + 1_000
            assert 1 <= announced <= 60


@given(
    st.integers(1, 5), st.lists(st.tuples(steps, st.sampled_from([0, 0, 1, 90_000])), max_size=60)
)
def test_a_clock_that_is_set_back_admits_nothing_extra(
    limit: int, schedule: list[tuple[int, int]]
) -> None:
    clock = Clock()
    limits, asked = Limits(clock), key(rate_limit=limit)
    passed = 0
    counted: list[int] = []
    for step, back in schedule:
        passed += step
        clock.now += step - back
        if admitted(limits, asked):
            counted.append(passed)
        assert len([at for at in counted if at > passed - MINUTE]) <= limit


@given(st.lists(st.integers(1, 29_000), min_size=3, max_size=3), st.integers(0, 999))
def test_a_lone_client_that_waits_as_told_gets_through_at_once(gaps: list[int], late: int) -> None:
    clock = Clock()
    limits, asked = Limits(clock), key(rate_limit=3)
    for gap in gaps:
        limits.hit(asked)
        clock.now += gap
    for _ in range(20):
        while admitted(limits, asked):
            clock.now += late
        announced = refusal(limits, asked).retry_after
        assert announced is not None
        clock.now += int(announced) * 1_000
        assert admitted(limits, asked)


def test_names_that_went_quiet_are_forgotten() -> None:
    clock = Clock()
    limits = Limits(clock, user_rate_limit=5)
    for number in range(1_000):
        limits.hit_user("account", str(number))
    memory = limits._local.limiter.storage
    assert len(memory._hits) == 1_000
    clock.now += MINUTE
    limits.hit_user("account", "another")
    assert len(memory._hits) == 1


def test_a_hundred_threads_get_exactly_the_limit_every_time() -> None:
    limits = Limits(Clock())
    start = Barrier(100)

    def ask(asked: Key) -> bool:
        start.wait()
        return admitted(limits, asked)

    with ThreadPoolExecutor(100) as pool:
        for repeat in range(TIMES):
            asked = key(f"key {repeat}", 37)
            assert sum(pool.map(ask, [asked] * 100)) == 37


def test_threads_that_take_turns_at_every_line_get_exactly_the_limit() -> None:
    limits = Limits(Clock())

    def take_turns(
        frame: FrameType, _event: str, _argument: object
    ) -> Callable[..., object] | None:
        if frame.f_code.co_filename != moving_window.__file__:
            return None
        time.sleep(0)
        return take_turns

    def ask(asked: Key) -> bool:
        sys.settrace(take_turns)
        try:
            return admitted(limits, asked)
        finally:
            sys.settrace(None)

    with ThreadPoolExecutor(8) as pool:
        for repeat in range(20):
            assert sum(pool.map(ask, [key(f"key {repeat}", 11)] * 24)) == 11


def test_four_processes_with_one_redis_get_exactly_the_limit_every_time(
    redis_server: Redis,
) -> None:
    start = SPAWN.Barrier(4)
    with workers(4, hit_together, redis_server.url, start, 25) as running:
        counts = []
        for repeat in range(TIMES):
            for worker in running:
                worker.order(key(f"key {repeat}", 60))
            counts.append(sum(worker.answer() for worker in running))
    assert counts == [60] * TIMES


def test_redis_says_the_same_as_memory(
    redis_server: Redis, limits_at: Callable[..., Limits]
) -> None:
    limits = limits_at(Clock(), redis_server.url, user_rate_limit=1)
    asked = key(rate_limit=3)
    assert limits.peek(asked) == Allowance(3, 3)
    assert [limits.hit(asked).remaining for _ in range(3)] == [2, 1, 0]
    assert refusal(limits, asked).retry_after == 60
    assert limits.peek(asked) == Allowance(3, 0)
    limits.hit_user("account", "x")
    with pytest.raises(EditError):
        limits.hit_user("account", "x")
    again = limits_at(Clock(), redis_server.url)  # a service that restarts forgets nothing
    assert again.peek(asked) == Allowance(3, 0)


def test_a_lone_client_that_waits_as_told_gets_through_at_once_with_redis(
    redis_server: Redis, limits_at: Callable[..., Limits]
) -> None:
    limits = limits_at(Clock(), redis_server.url)
    asked = [key(f"key {number}", 1) for number in range(100)]
    with redis_server.client() as client:
        began = time.time()
        for number, one in enumerate(asked):
            # As the library stores a hit, made so long ago that under a second is left to wait.
            name = f"imageedit:key/{one.id}/1/1/minute"
            client.lpush(name, repr(began - 59.05 - number / 500))
        announced = [refusal(limits, one).retry_after for one in asked]
    assert announced == [1] * 100
    time.sleep(1)
    assert [limits.hit(one).remaining for one in asked] == [0] * 100


def fallbacks(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.levelname for record in caplog.records if record.message == FELL_BACK]


def test_with_redis_gone_it_counts_here_and_comes_back(
    redis_program: str, limits_at: Callable[..., Limits], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    clock, asked = Clock(), key(rate_limit=10)
    with Redis(redis_program) as server:
        limits = limits_at(clock, server.url)
        assert [limits.hit(asked).remaining for _ in range(3)] == [9, 8, 7]
        server.kill()
        # What this process knew is still counted, and the limit still holds.
        assert [limits.hit(asked).remaining for _ in range(7)] == [6, 5, 4, 3, 2, 1, 0]
        refusal(limits, asked)
        assert fallbacks(caplog) == ["WARNING"]
        server.start()
        clock.now += AGAIN_MS - 1
        refusal(limits, asked)
        clock.now += 1
        assert limits.hit(asked) == Allowance(10, 9)  # a Redis that lost all begins anew
        assert [record.message for record in caplog.records][-1] == "limits are shared again"
        assert limits_at(clock, server.url).peek(asked) == Allowance(10, 9)


def test_a_long_outage_is_told_once_a_minute(
    limits_at: Callable[..., Limits], caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    limits = limits_at(clock, "redis://127.0.0.1:1")
    for _ in range(3 * WARN_MS // 1_000):
        limits.hit(key(rate_limit=1_000))
        clock.now += 1_000
    assert fallbacks(caplog) == ["WARNING"] * 3
    assert {record.__dict__["line"]["cause"] for record in caplog.records} == {"ConnectionError"}


def test_a_redis_that_says_nothing_holds_nobody_up(limits_at: Callable[..., Limits]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        limits = limits_at(Clock(), f"redis://127.0.0.1:{silent.getsockname()[1]}")
        with ThreadPoolExecutor(50) as pool:
            started = time.monotonic()
            answers = list(pool.map(lambda _: limits.hit(key(rate_limit=80)), range(50)))
            assert time.monotonic() - started < 1.5
            started = time.monotonic()
            answers += pool.map(lambda _: limits.hit(key(rate_limit=80)), range(30))
            assert time.monotonic() - started < 0.2
        assert min(answer.remaining for answer in answers) == 0
        refusal(limits, key(rate_limit=80))


def test_one_request_at_a_time_asks_whether_redis_is_back(
    limits_at: Callable[..., Limits],
) -> None:
    clock = Clock()
    asked: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(0.3)
        limits = limits_at(clock, f"redis://127.0.0.1:{silent.getsockname()[1]}")
        limits.hit(key(rate_limit=80))
        asked.append(silent.accept()[0])
        clock.now += AGAIN_MS
        with ThreadPoolExecutor(20) as pool:
            list(pool.map(lambda _: limits.hit(key(rate_limit=80)), range(20)))
        asked.append(silent.accept()[0])
        with pytest.raises(TimeoutError):
            silent.accept()
    for connection in asked:
        connection.close()


@pytest.mark.parametrize("url", ["http://127.0.0.1", "redis://127.0.0.1:port", "redis://[::1"])
def test_a_url_of_no_use_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="Redis URL|Port|IPv6"):
        Limits(Clock(), redis_url=url)
