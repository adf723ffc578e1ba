"""Spans of an edit for OpenTelemetry, once `spans` was given a provider; before that, nothing.

A span tells times, a model, a route and an outcome: never a prompt, a picture, a key or a `user`.
Exceptions are not recorded, since their texts may quote anything. Nothing of a trace goes to a
vendor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from server.domain import EditError

try:
    from opentelemetry import context, trace
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ImportError:  # the extra `tracing` is not installed
    INSTALLED = False
else:
    INSTALLED = True

if TYPE_CHECKING:
    from contextvars import Token

    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer, TracerProvider

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
OUTCOME = "imageedit.outcome"


class Begun:
    """A span that lasts until `end`, and is its thread's current one meanwhile."""

    def __init__(self, span: Span, token: Token[Context]) -> None:
        self._span = span
        self._token = token

    def end(self, *, failed: bool, **facts: object) -> None:
        """End it with `facts` as attributes; `None` is left out."""
        _tell(self._span, facts)
        if failed:
            self._span.set_status(trace.StatusCode.ERROR)
        self._span.end()
        context.detach(self._token)


class Spans:
    """Makes spans; shared by all threads."""

    def __init__(self) -> None:
        self._tracer: Tracer | None = None

    def use(self, provider: TracerProvider | None) -> None:
        """Make spans with `provider` from now on; with `None`, none."""
        self._tracer = provider.get_tracer("imageedit") if provider else None

    def begin(self, name: str, carrier: Mapping[str, str | bytes]) -> Begun | None:
        """Begin the span of a call whose metadata, `carrier`, may name a parent (W3C)."""
        if self._tracer is None:
            return None
        told = {key: value for key, value in carrier.items() if isinstance(value, str)}
        parent = TraceContextTextMapPropagator().extract(told)
        span = self._tracer.start_span(name, parent, trace.SpanKind.SERVER)
        return Begun(span, context.attach(trace.set_span_in_context(span, parent)))

    def note(self, **facts: object) -> None:
        """Add attributes to the current span."""
        if self._tracer is not None:
            _tell(trace.get_current_span(), facts)

    def traced(
        self, name: str
    ) -> Callable[[Callable[Arguments, Result]], Callable[Arguments, Result]]:
        """Return a decorator that makes a span of each call."""

        def decorate(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
            @wraps(function)
            def call(*given: Arguments.args, **named: Arguments.kwargs) -> Result:
                tracer = self._tracer
                if tracer is None:
                    return function(*given, **named)
                with tracer.start_as_current_span(
                    name, record_exception=False, set_status_on_exception=False
                ) as span:
                    try:
                        return function(*given, **named)
                    except BaseException as error:
                        if isinstance(error, EditError):
                            span.set_attribute(OUTCOME, error.situation.value)
                        span.set_status(trace.StatusCode.ERROR)
                        raise

            return call

        return decorate


def _tell(span: Span, facts: Mapping[str, object]) -> None:
    for name, value in facts.items():
        if value is not None:
            span.set_attribute(f"imageedit.{name}", str(value))


spans = Spans()
"""Of this process."""
