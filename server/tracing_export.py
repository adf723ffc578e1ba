"""Where spans go: to a collector by OTLP over HTTP, or to standard output.

OpenTelemetry's own variables decide; the library reads the rest of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from threading import Thread
from typing import TYPE_CHECKING

from server import tracing

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

LAST_SPANS = 3.0
"""Seconds that the end of the program waits for what is not sent yet."""
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


class TracingError(Exception):
    """The environment asks for what cannot be done; the text names the variable."""


class Export:
    """Has spans made and sent while the block lasts, if `environment` asks for it.

    Raises `TracingError`.
    """

    def __init__(self, environment: Mapping[str, str], service: str) -> None:
        wanted = _wanted(environment)
        name = environment.get("OTEL_SERVICE_NAME") or service
        self._provider = _provider(wanted, name) if wanted and tracing.INSTALLED else None

    def __enter__(self) -> None:
        if self._provider is not None:
            tracing.spans.use(self._provider)

    def __exit__(self, *_: object) -> None:
        if self._provider is None:
            return
        tracing.spans.use(None)
        # A collector that does not answer must not keep the program.
        last = Thread(target=self._provider.shutdown, name="last spans", daemon=True)
        last.start()
        last.join(LAST_SPANS)


def _wanted(environment: Mapping[str, str]) -> str | None:
    wanted = environment.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if not wanted and any(environment.get(name) for name in _ENDPOINTS):
        wanted = "otlp"
    disabled = environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    if disabled or wanted in {"", "none"}:
        return None
    if wanted not in {"otlp", "console"}:
        raise TracingError(f'OTEL_TRACES_EXPORTER: "{wanted}" is none of otlp, console and none')
    return wanted


def _provider(wanted: str, service: str) -> TracerProvider:
    # Loaded where they are wanted alone: they cost a fifth of a second, and memory.
    from opentelemetry.exporter.otlp.proto.http import trace_exporter as otlp  # noqa: PLC0415
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider, export  # noqa: PLC0415

    resource = Resource.create({"service.name": service})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    exporter = export.ConsoleSpanExporter() if wanted == "console" else otlp.OTLPSpanExporter()
    provider.add_span_processor(export.BatchSpanProcessor(exporter))
    return provider
