"""How often a key, and an end user under an account, may ask: exact moving windows of a minute.

In memory a limit holds in this process; with Redis, in all that share it. While Redis is gone each
process counts for itself: no edit waits for a counter.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.errors import StorageError
from limits.storage import RedisStorage
from limits.strategies import MovingWindowRateLimiter

from server.accounts.keys import Key
from server.accounts.moving_window import MovingWindowMemory
from server.domain import EditError, Situation

logger = logging.getLogger("imageedit.service")

LONGEST_WAIT = 60  # seconds (contract, section 1, Headers)
REDIS_TIMEOUT_MS = 250
REDIS_CONNECTIONS = 32
AGAIN_MS = 5_000  # Redis is left alone that long after it failed
WARN_MS = 60_000
REPEATS = 10
"""Repeats that a key may send for each edit of its rate."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a key may do: `limit` requests a minute, `remaining` of them at this moment."""

    limit: int
    remaining: int


@dataclass(frozen=True, slots=True)
class _Counter:
    """A place where hits are counted, and the clock (milliseconds) by which it counts them."""

    limiter: MovingWindowRateLimiter
    clock: Callable[[], int]

    def ask(self, item: RateLimitItem, name: str, *, hit: bool) -> tuple[bool, int, int]:
        """Return whether there was room, how much there is now, and milliseconds until there is."""
        admitted = hit and self.limiter.hit(item, name)
        reset, remaining = self.limiter.get_window_stats(item, name)
        wait = 0 if remaining > 0 else round(reset * 1000) - self.clock()
        return admitted, max(remaining, 0), wait


class Limits:
    """Counts requests. Shared by all threads.

    `clock` returns milliseconds that never go back, such as those of the monotonic clock. Redis'
    windows are the library's own, on the wall clock of the hosts. `user_rate_limit` is requests a
    minute of one end user, `None` for no limit. Raises ValueError for a Redis URL of no use.
    """

    def __init__(
        self,
        clock: Callable[[], int],
        *,
        redis_url: str | None = None,
        user_rate_limit: int | None = None,
    ) -> None:
        self._clock = clock
        self._user_rate_limit = user_rate_limit
        self._local = _Counter(MovingWindowRateLimiter(MovingWindowMemory(clock)), clock)
        self._redis: RedisStorage | None = None
        self._shared: _Counter | None = None
        if redis_url is not None:
            self._redis = _connect(redis_url)
            self._shared = _Counter(MovingWindowRateLimiter(self._redis), _wall_clock)
        self._lock = Lock()
        self._again_at: int | None = None  # set while Redis is gone
        self._warned_at: int | None = None
        self.fallbacks = 0  # requests that were counted here because Redis was gone

    def hit(self, key: Key) -> Allowance:
        """Count a request of `key`; raises `EditError` (LIMITED), which counts nothing.

        `retry_after` is whole seconds, 1 to 60, after which a lone client gets through at once.
        """
        item = _per_minute(key.rate_limit, "key")
        admitted, remaining, wait = self._ask(item, key.id, hit=True)
        if not admitted:
            raise _limited(item, wait, "This key may send")
        return Allowance(key.rate_limit, remaining)

    def hit_repeat(self, key: Key) -> None:
        """Count a request that may repeat another; raises `EditError` (LIMITED).

        Repeats use up none of the key's rate, yet each costs an upload.
        """
        item = _per_minute(key.rate_limit * REPEATS, "repeat")
        admitted, _, wait = self._ask(item, key.id, hit=True)
        if not admitted:
            raise _limited(item, wait, "This key may repeat")

    def peek(self, key: Key) -> Allowance:
        """Return what `key` may do, without counting."""
        item = _per_minute(key.rate_limit, "key")
        _, remaining, _ = self._ask(item, key.id, hit=False)
        return Allowance(key.rate_limit, remaining)

    def check(self, key: Key) -> None:
        """Raise what `hit` would raise now; counts nothing."""
        item = _per_minute(key.rate_limit, "key")
        _, remaining, wait = self._ask(item, key.id, hit=False)
        if remaining == 0:
            raise _limited(item, wait, "This key may send")

    def hit_user(self, account_id: str, user: str) -> None:
        """Count a request of an end user ("" is nobody); raises `EditError` (LIMITED)."""
        if self._user_rate_limit is None or not user:
            return
        item = _per_minute(self._user_rate_limit, "user")
        # The name may be anything, and somebody's address: a counter needs neither.
        name = hashlib.sha256(f"{account_id}/{user}".encode()).hexdigest()
        admitted, _, wait = self._ask(item, name, hit=True)
        if not admitted:
            raise _limited(item, wait, "This end user may send", field="user")

    def close(self) -> None:
        """Give back the connections."""
        if self._redis is not None:
            self._redis.storage.close()

    def _ask(self, item: RateLimitItem, name: str, *, hit: bool) -> tuple[bool, int, int]:
        if self._shared is not None and self._may_try():
            try:
                answer = self._shared.ask(item, name, hit=hit)
            except StorageError as error:
                self._failed(error.storage_error)
            else:
                self._worked()
                if answer[0]:
                    # Counted here too, so that a fallback starts from what this process knows.
                    self._local.limiter.hit(item, name)
                return answer
        if self._shared is not None:
            with self._lock:
                self.fallbacks += 1
        return self._local.ask(item, name, hit=hit)

    def _may_try(self) -> bool:
        """Tell whether to ask Redis; after a failure one thread at a time finds out for all."""
        with self._lock:
            if self._again_at is None:
                return True
            if self._clock() < self._again_at:
                return False
            self._again_at = self._clock() + AGAIN_MS
            return True

    def _failed(self, error: Exception) -> None:
        with self._lock:
            now = self._clock()
            self._again_at = now + AGAIN_MS
            silent = self._warned_at is not None and now - self._warned_at < WARN_MS
            if not silent:
                self._warned_at = now
        if not silent:
            event = "limits fell back to local counting"
            line = {"event": event, "cause": type(error).__name__}
            logger.warning(event, extra={"line": line})

    def _worked(self) -> None:
        if self._again_at is None:
            return
        with self._lock:
            self._again_at = None
        event = "limits are shared again"
        logger.info(event, extra={"line": {"event": event}})


def _limited(item: RateLimitItem, wait: int, who: str, field: str | None = None) -> EditError:
    # Always above the wait, never equal: at its last moment the window is still full.
    seconds = min(max(wait, 0) // 1000 + 1, LONGEST_WAIT)
    return EditError(
        Situation.LIMITED,
        f"{who} {item.amount} requests a minute. Try again in {seconds} s.",
        field=field,
        limit=f"{item.amount} requests a minute",
        retry_after=seconds,
    )


def _per_minute(amount: int, what: str) -> RateLimitItem:
    return RateLimitItemPerMinute(amount, namespace=what)


def _wall_clock() -> int:
    """Return Unix milliseconds: the clock that the library's Redis windows are on."""
    return time.time_ns() // 1_000_000


def _connect(url: str) -> RedisStorage:
    # As in the settings: only who shares limits needs the client.
    from redis import BlockingConnectionPool  # noqa: PLC0415
    from redis.backoff import NoBackoff  # noqa: PLC0415
    from redis.retry import Retry  # noqa: PLC0415

    seconds = REDIS_TIMEOUT_MS / 1000
    pool = BlockingConnectionPool.from_url(
        url.replace("redis+unix://", "unix://"),  # the library's name, and the client's
        max_connections=REDIS_CONNECTIONS,
        timeout=seconds,
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        retry=Retry(NoBackoff(), 0),  # a repeat would count twice, and wait
    )
    return RedisStorage(url, connection_pool=pool, key_prefix="imageedit", wrap_exceptions=True)
