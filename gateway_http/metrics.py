"""The front's numbers for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

_SECONDS = (0.005, 0.02, 0.1, 0.5, 2.0, 5.0, 15.0, 30.0, 60.0, 120.0, 180.0, 300.0, 420.0)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """The numbers of one app, in a `registry` of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "imageedit_http_requests",
            "Requests that were answered.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "imageedit_http_request_seconds",
            "Seconds from the request's header to the answer's last byte.",
            ("route",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._bytes = Counter(
            "imageedit_http_body_bytes",
            "Bytes of bodies, received and sent.",
            ("direction",),
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "imageedit_http_requests_in_flight",
            "Requests that are being answered.",
            registry=self.registry,
        )

        self._refused = Counter(
            "imageedit_http_refusals",
            "Requests refused without the service, by the connection or the front's own checks.",
            ("by", "status"),
            registry=self.registry,
        )

    def watch(self, *, capacity: int, held: Callable[[], int], drains: Callable[[], bool]) -> None:
        """Show how many requests are served at most, the edits `held`, and whether it drains."""
        self._gauge("requests_capacity", "Requests answered at once, at most.", lambda: capacity)
        self._gauge("edits_held", "Edits that a drain waits for.", held)
        self._gauge("draining", "1 from the signal to leave on.", drains)

    def _gauge(self, name: str, help_: str, read: Callable[[], int]) -> None:
        gauge = Gauge(f"imageedit_http_{name}", help_, registry=self.registry)
        gauge.set_function(lambda: float(read()))

    def refused(self, by: str, status: int) -> None:
        """Count a refusal that the service never heard of; `by` is "connection" or "front"."""
        self._refused.labels(by, str(status)).inc()

    def answered(
        self, method: str, route: str, status: int, *, seconds: float, received: int, sent: int
    ) -> None:
        """Count one answer; `route` is a URL rule, never a path, so that labels stay few."""
        known = method if method in _METHODS else "other"
        self._requests.labels(known, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)
        self._bytes.labels("received").inc(received)
        self._bytes.labels("sent").inc(sent)
