"""What a scrape reads at its moment: places, breakers, money, threads. Nothing is kept here."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from server.accounts.limits import Limits
from server.accounts.tally import Tally
from server.admission import Admission
from server.held_money import HeldMoney

STATES = ("closed", "half_open", "open")
"""Of a route's breaker."""
_MONEY = {
    "posted": "Nano-dollars that customers were charged.",
    "lost": "Nano-dollars that upstreams may bill for edits of unknown outcome.",
    "overrun": "Nano-dollars that edits cost above what was held for them.",
}


class State(Collector):
    """Reads the service when Prometheus asks. `routes` returns breaker states by route."""

    def __init__(
        self,
        admission: Admission,
        tally: Tally,
        held: HeldMoney,
        limits: Limits,
        routes: Callable[[], Mapping[str, str]],
    ) -> None:
        self._admission = admission
        self._tally = tally
        self._held = held
        self._limits = limits
        self._routes = routes

    def collect(self) -> Iterator[Metric]:
        """Yield every number as it is now."""
        yield from self._places()
        yield from self._money()
        yield from self._trouble()
        breaker = GaugeMetricFamily(
            "imageedit_breaker_state",
            "1 for the state that a route's breaker is in.",
            labels=("route", "state"),
        )
        for route, now in sorted(self._routes().items()):
            for state in STATES:
                breaker.add_metric((route, state), float(state == now))
        yield breaker
        yield _gauge("imageedit_threads", "Python's threads.", threading.active_count())

    def describe(self) -> list[Metric]:
        """Return nothing, so that nothing is read when this is registered."""
        return []

    def _places(self) -> Iterator[Metric]:
        admission = self._admission
        yield _gauge("imageedit_edits_held", "Edits under way.", admission.held)
        yield _gauge("imageedit_edits_capacity", "Edits held at most.", admission.capacity)

    def _money(self) -> Iterator[Metric]:
        sums = self._tally.read()
        for name, help_ in _MONEY.items():
            yield _counter(f"imageedit_money_{name}_nanodollars", help_, sums[name])
        held = self._held.read()
        if held is not None:
            help_ = "Nano-dollars in holds, of all services on this database."
            yield _gauge("imageedit_money_held_nanodollars", help_, held)

    def _trouble(self) -> Iterator[Metric]:
        sums = self._tally.read()
        help_ = "Edits of services that died, ended here."
        yield _counter("imageedit_holds_swept", help_, sums["swept"])
        help_ = "Uses of the database that failed."
        yield _counter("imageedit_store_failures", help_, sums["unreachable"])
        help_ = "Rate limits that were counted here because Redis was gone."
        yield _counter("imageedit_limits_fallbacks", help_, self._limits.fallbacks)


def _gauge(name: str, help_: str, value: float) -> Metric:
    return GaugeMetricFamily(name, help_, value)


def _counter(name: str, help_: str, value: float) -> Metric:
    return CounterMetricFamily(name, help_, value)
