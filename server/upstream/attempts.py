"""The tries of one edit: its routes in their order, one at a time, and when to stop."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

from server.catalog import Route
from server.domain import EditError
from server.tracing import spans
from server.upstream.attempt import Attempt
from server.upstream.breaker import FAULTS, Breaker, Verdict
from server.upstream.budget import RetryBudget
from server.upstream.caller import DELIVERED, WITHHELD, AttemptRecord, Caller, Errand
from server.upstream.delivery import Delivered, Vendor, deliver, judged
from server.upstream.discretion import without_quotes
from server.upstream.fates import AttemptFailed
from server.upstream.watchdog import Watchdog

__all__ = ["AttemptFailed", "AttemptRecord", "Attempts", "Caller"]

# Left of the caller's time for finishing the picture and for the way back, in seconds.
MARGIN = 1.0
# Before one more try at the same route: without a wish of the vendor's, and the longest wish
# that is granted. A caller is better off with `Retry-After` than with a longer wait.
BACKOFF = 0.5
LONGEST_BACKOFF = 2.0


class Attempts:
    """The way to the upstreams. Shared by all threads.

    `routes` are all that may be asked for. `timeout` is what an attempt may take, in seconds,
    `faults` how many in a row open a route's breaker. `cancel_unbilled`: a caller that leaves ends
    a paid call, where the vendor bills nothing then; one that `cancels` always does. `backoff` is
    about how long the same route is left alone. `clock` returns seconds, `chance` a number from 0
    to 1.
    """

    def __init__(
        self,
        vendors: Mapping[str, Vendor],
        routes: Collection[Route],
        *,
        timeout: float,
        download_origins: tuple[str, ...],
        watchdog: Watchdog,
        faults: int = FAULTS,
        cancel_unbilled: bool = False,
        backoff: float = BACKOFF,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._vendors = vendors
        self._timeout = timeout
        self._download_origins = download_origins
        self._watchdog = watchdog
        self._cancel_unbilled = cancel_unbilled
        self._backoff = backoff
        self._clock = clock
        self._chance = chance
        names = {route.name for route in routes}
        self._breakers = {name: Breaker(faults, clock=clock, chance=chance) for name in names}
        self._budgets = {name: RetryBudget() for name in names}
        self._live: set[Attempt] = set()
        self._closed = False

    def states(self) -> Mapping[str, str]:
        """Return the breaker of every route: "provider:model" to "closed", "open", "half_open"."""
        return {name: breaker.state for name, breaker in sorted(self._breakers.items())}

    def cut(self) -> None:
        """End every attempt that is under way, sent or not, and begin no other."""
        self._closed = True
        for attempt in list(self._live):
            attempt.cancel()

    def fetch(self, routes: Sequence[Route], errand: Errand, caller: Caller) -> Delivered:
        """Return the picture of the first of `routes` that gives one; never two are asked at once.

        After what surely cost nothing and may go better, the next route is tried, and at the end
        the last that may be worth it once more, as far as its budget reaches: all in the first half
        of the edit's time, so that what is begun can end. Raises the most hopeful `AttemptFailed`,
        or at once the one that lets nothing else be tried; and what `errand` raises.
        """
        halfway = self._clock() + self._patience(caller)[0] / 2
        failures: list[AttemptFailed] = []
        for route, pause in self._plan(routes, failures):
            if failures and self._clock() + pause > halfway:
                break
            budget = self._budgets[route.name]
            if len(failures) < len(routes):
                budget.earn()
            elif not budget.spend():
                break
            try:
                return self._ask(route, errand, caller, pause)
            except AttemptFailed as failure:
                failures.append(failure)
                if not failure.billable:
                    errand.cleared()
                if failure.final:
                    raise
        raise min(failures, key=_wait_for_better)

    def _plan(
        self, routes: Sequence[Route], failures: Sequence[AttemptFailed]
    ) -> Iterator[tuple[Route, float]]:
        """Yield what to ask next, and the seconds to wait before."""
        yield from ((route, 0.0) for route in routes)
        for route, failure in reversed(list(zip(routes, failures, strict=True))):
            wish = failure.said.retry_after if failure.said else None
            if not failure.fate.again or (wish is None and failure.fate.name == "limited"):
                continue
            if (wish or 0.0) <= LONGEST_BACKOFF:
                yield route, max(wish or 0.0, self._backoff * (0.5 + self._chance()))
                return

    @spans.traced("attempt")
    def _ask(self, route: Route, errand: Errand, caller: Caller, pause: float) -> Delivered:
        """Try `route` once, after `pause` seconds; raises `AttemptFailed`, and what `errand` does.

        A caller that leaves ends it while nothing was sent; later only where that saves the bill.
        """
        vendor, breaker = self._vendors[route.provider], self._breakers[route.name]
        timeout, late = self._patience(caller)
        started = time.monotonic()
        outcome, fate, detail, prompt = WITHHELD, WITHHELD, "", ""
        passage, verdict = None, Verdict.NEITHER
        try:
            with (
                self._attempt(timeout, vendor, errand, caller) as attempt,
                judged(attempt, vendor.facts, late=late),
            ):
                attempt.pause(pause)
                passage = breaker.enter()
                edit = errand.edit_for(route)
                prompt = edit.prompt
                origins, hear = self._download_origins, errand.partial
                delivered = deliver(
                    edit, vendor, attempt, on_partial=hear, download_origins=origins
                )
                outcome, fate, verdict = DELIVERED, DELIVERED, Verdict.GOOD
                return delivered
        except AttemptFailed as failure:
            outcome, fate = failure.error.situation.value, failure.fate.name
            detail = without_quotes(str(failure.__cause__ or ""), prompt)
            verdict = Verdict.FAULT if failure.fate.fault else Verdict.NEITHER
            raise
        except EditError as error:
            outcome = error.situation.value
            raise
        finally:
            if passage is not None:
                passage.end(verdict)
            took = time.monotonic() - started
            errand.attempted(
                AttemptRecord(route.provider, route.model, outcome, fate, detail, took)
            )

    @contextmanager
    def _attempt(
        self, timeout: float, vendor: Vendor, errand: Errand, caller: Caller
    ) -> Iterator[Attempt]:
        wanted = self._cancel_unbilled or caller.cancels
        free_cancel = wanted and vendor.facts.cancel_stops_billing
        hook = errand.submit
        with Attempt(timeout, self._watchdog, on_send=hook, free_cancel=free_cancel) as attempt:
            self._live.add(attempt)
            try:
                if self._closed:
                    attempt.cancel()
                caller.on_leave(attempt.withdraw)
                yield attempt
            finally:
                self._live.discard(attempt)

    def _patience(self, caller: Caller) -> tuple[float, str]:
        """Return what an attempt may take now, and the fate of one that takes it all."""
        remaining = caller.remaining()
        if remaining is None or remaining - MARGIN >= self._timeout:
            return self._timeout, "timed_out"
        return max(remaining - MARGIN, 0.0), "deadline"


def _wait_for_better(failure: AttemptFailed) -> float:
    """Return the seconds after which a repeat may help: the fewer, the more hopeful."""
    wait = failure.error.retry_after
    return float("inf") if wait is None else wait
