"""The front's numbers for Prometheus."""

from __future__ import annotations

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

    def answered(
        self, method: str, route: str, status: int, *, seconds: float, received: int, sent: int
    ) -> None:
        """Count one answer; `route` is a URL rule, never a path, so that labels stay few."""
        known = method if method in _METHODS else "other"
        self._requests.labels(known, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)
        self._bytes.labels("received").inc(received)
        self._bytes.labels("sent").inc(sent)
