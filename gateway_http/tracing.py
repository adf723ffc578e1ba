"""Spans of requests for OpenTelemetry, once `spans` was given a provider; before that, nothing.

A span tells method, route, status and the request's id: never a key, a form or a path as it came.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

try:
    from opentelemetry import context, trace
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ImportError:  # the extra `tracing` is not installed
    INSTALLED = False
else:
    INSTALLED = True

if TYPE_CHECKING:
    from contextvars import Token

    from _typeshed.wsgi import WSGIEnvironment
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer, TracerProvider

HEADERS = ("traceparent", "tracestate")
"""What a trace travels by (w3.org/TR/trace-context)."""


class Begun:
    """The span of one request; its thread's current one until `leave`."""

    def __init__(self, span: Span, token: Token[Context]) -> None:
        self._span = span
        self._token = token

    def leave(self) -> None:
        """Let the thread go on without it: what is left is sending the answer."""
        context.detach(self._token)

    def end(self, method: str, route: str, status: int, request_id: str | None) -> None:
        """End it; `route` is a URL rule."""
        self._span.update_name(f"{method} {route}")
        self._span.set_attribute("http.request.method", method)
        self._span.set_attribute("http.route", route)
        self._span.set_attribute("http.response.status_code", status)
        if request_id is not None:
            self._span.set_attribute("imageedit.request_id", request_id)
        if status >= 500:
            self._span.set_status(trace.StatusCode.ERROR)
        self._span.end()


class Spans:
    """Makes spans; shared by all threads."""

    def __init__(self) -> None:
        self._tracer: Tracer | None = None

    def use(self, provider: TracerProvider | None) -> None:
        """Make spans with `provider` from now on; with `None`, none."""
        self._tracer = provider.get_tracer("imageedit") if provider else None

    def begin(self, environ: WSGIEnvironment) -> Begun | None:
        """Begin the span of a request, whose headers may name a parent."""
        if self._tracer is None:
            return None
        given = {name: environ.get(f"HTTP_{name.upper()}", "") for name in HEADERS}
        parent = TraceContextTextMapPropagator().extract(given)
        span = self._tracer.start_span("HTTP", parent, trace.SpanKind.SERVER)
        return Begun(span, context.attach(trace.set_span_in_context(span, parent)))

    def carried(self) -> tuple[tuple[str, str], ...]:
        """Return the metadata that make a call a part of the current trace."""
        if self._tracer is None:
            return ()
        carrier: dict[str, str] = {}
        TraceContextTextMapPropagator().inject(carrier)
        return tuple(carrier.items())


spans = Spans()
"""Of this process."""
