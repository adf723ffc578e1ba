"""The service's numbers for Prometheus: what is counted when it happens.

Labels are few and bounded: aliases and routes of the catalogue, and words of our own. No label and
no number tells of a key, a prompt or an end user.
"""

from __future__ import annotations

from collections.abc import Collection

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector

UNKNOWN = "unknown"
SECONDS = (0.1, 0.5, 1, 2, 5, 10, 20, 30, 45, 60, 90, 120, 180, 240, 300, 420)
"""An edit takes 1 to 300 s, and a second attempt may begin in that time."""
RPC_SECONDS = (0.001, 0.005, 0.02, 0.1, 0.5, *SECONDS[2:])


class Metrics:
    """The numbers of one service, in a `registry` of its own. `aliases` are the models there are.

    Times are in seconds.
    """

    def __init__(self, aliases: Collection[str]) -> None:
        self._aliases = frozenset(aliases)
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._edits = self._counter(
            "imageedit_edits",
            "Edits that ended: how the caller was answered, and what the last attempt came to.",
            ("model", "outcome", "attempt"),
        )
        self._edit_seconds = self._histogram(
            "imageedit_edit_seconds",
            "Seconds from a whole request to its end.",
            ("model",),
            SECONDS,
        )
        self._attempts = self._counter(
            "imageedit_attempts", "Attempts at upstreams that ended.", ("route", "outcome")
        )
        self._attempt_seconds = self._histogram(
            "imageedit_attempt_seconds", "Seconds that an attempt took.", ("route",), SECONDS
        )
        self._rpcs = self._counter(
            "imageedit_rpcs",
            "RPCs that ended, with the reason of a refusal.",
            ("method", "code", "reason"),
        )
        self._rpc_seconds = self._histogram(
            "imageedit_rpc_seconds", "Seconds that an RPC took.", ("method",), RPC_SECONDS
        )
        self._bytes = self._counter(
            "imageedit_rpc_bytes",
            "Bytes of messages, received and sent; of EditImage, those of its pictures.",
            ("direction",),
        )

    def edit(self, model: str, *, outcome: str, attempt: str, seconds: float) -> None:
        """Count an edit that ended.

        `outcome` is "delivered" or a Situation's value; `attempt` is "delivered", "unbilled" or
        "unknown" for the last one, "none" where there was none, "replayed" for a stored answer.
        """
        known = model if model in self._aliases else UNKNOWN
        self._edits.labels(known, outcome, attempt).inc()
        if attempt not in {"none", "replayed"}:
            self._edit_seconds.labels(known).observe(seconds)

    def attempt(self, route: str, *, outcome: str, seconds: float) -> None:
        """Count an attempt at `route`, "provider:model", that ended."""
        self._attempts.labels(route, outcome).inc()
        self._attempt_seconds.labels(route).observe(seconds)

    def rpc(
        self, method: str, *, code: str, reason: str, seconds: float, received: int, sent: int
    ) -> None:
        """Count an RPC that ended; `reason` is that of the error table, "" without an error."""
        self._rpcs.labels(method, code, reason).inc()
        self._rpc_seconds.labels(method).observe(seconds)
        self._bytes.labels("received").inc(received)
        self._bytes.labels("sent").inc(sent)

    def _counter(self, name: str, help_: str, labels: tuple[str, ...]) -> Counter:
        return Counter(name, help_, labels, registry=self.registry)

    def _histogram(
        self, name: str, help_: str, labels: tuple[str, ...], buckets: tuple[float, ...]
    ) -> Histogram:
        return Histogram(name, help_, labels, buckets=buckets, registry=self.registry)
