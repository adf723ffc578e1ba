"""One trace from the HTTP request to the upstream attempt, with the right parents and no secret."""

from __future__ import annotations

import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from uuid import uuid4

import pytest
import requests
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import gateway_http.tracing
import gateway_http.tracing_export
import server.tracing
import server.tracing_export
from sandbox.server import SandboxServer
from tests.canaries import canary, found
from tests.edits import IMAGE
from tests.gateway_programs import gateway_programs
from tests.programs import program
from tests.running import Gateway, eventually

CALLER = "b7ad6b7169203331"
LARGE = IMAGE + bytes(1_200_000)  # goes in chunks, by StreamEditImage
ROUTE = "openai:gpt-image-1.5"


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """What both programs of this process make while a test runs."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    gateway_http.tracing.spans.use(provider)
    server.tracing.spans.use(provider)
    yield exporter
    gateway_http.tracing.spans.use(None)
    server.tracing.spans.use(None)
    provider.shutdown()


def post(
    gateway: Gateway, trace: str, image: bytes = IMAGE, directive: str = "", **fields: str
) -> tuple[requests.Response, dict[str, str]]:
    """Edit as a caller who traces; return the answer and what must be told nowhere."""
    secrets = {name: canary(name) for name in ("prompt", "user", "query")} | {"key": gateway.key}
    answer = requests.post(
        f"{gateway.url}/v1/images/edits?{secrets['query']}",
        data={
            "model": "openai/gpt-image-1.5",
            "prompt": f"sepia {secrets['prompt']} {directive}",
            "user": secrets["user"],
            **fields,
        },
        files={"image": ("x.png", image)},
        headers=gateway.authorization | {"traceparent": f"00-{trace}-{CALLER}-01"},
        timeout=30,
    )
    return answer, secrets


def tree(exporter: InMemorySpanExporter, trace: str) -> dict[str, ReadableSpan]:
    """Return the spans of a trace by "PARENT/NAME", once the first of them ended, as the last."""

    def made_so_far() -> list[ReadableSpan]:
        spans = exporter.get_finished_spans()
        return [span for span in spans if f"{span.context.trace_id:032x}" == trace]

    def first_ended() -> bool:
        return any(span.parent.span_id == int(CALLER, 16) for span in made_so_far() if span.parent)

    assert eventually(first_ended)
    made = made_so_far()
    names = {span.context.span_id: span.name for span in made} | {int(CALLER, 16): "caller"}
    return {f"{names[span.parent.span_id]}/{span.name}": span for span in made if span.parent}


PARTS = {"checks", "hold", "attempt", "finish", "settle", "replay"}


@pytest.mark.parametrize(("image", "method"), [(IMAGE, "EditImage"), (LARGE, "StreamEditImage")])
def test_an_edit_is_one_trace(
    gateway: Gateway,
    sandbox: SandboxServer,
    spans: InMemorySpanExporter,
    image: bytes,
    method: str,
) -> None:
    sandbox.forget_calls()
    trace = uuid4().hex
    answer, secrets = post(gateway, trace, image)
    assert answer.status_code == 200, answer.text
    found_ = tree(spans, trace)
    front = "POST /v1/images/edits"
    expected = {f"caller/{front}", f"{front}/{method}", *(f"{method}/{part}" for part in PARTS)}
    assert expected <= set(found_)
    assert set(found_) - expected <= {f"{front}/CheckKey", f"{front}/ConfirmDelivery"}
    request_id = answer.headers["x-request-id"]
    assert found_[f"caller/{front}"].attributes == {
        "http.request.method": "POST",
        "http.route": "/v1/images/edits",
        "http.response.status_code": 200,
        "imageedit.request_id": request_id,
    }
    assert found_[f"{front}/{method}"].attributes == {
        "imageedit.request_id": request_id,
        "imageedit.model": "openai/gpt-image-1.5",
        "imageedit.outcome": "OK",
    }
    attempt = found_[f"{method}/attempt"]
    assert attempt.attributes == {"imageedit.route": ROUTE, "imageedit.outcome": "delivered"}
    within = found_[f"{method}/checks"].end_time <= attempt.start_time  # type: ignore[operator]
    assert within
    _tells_nothing(spans, secrets)

    # The trace ends here: a vendor learns nothing of it.
    (call,) = sandbox.calls
    assert not {"traceparent", "tracestate", "baggage"} & set(call.headers)


def test_a_streamed_answer_is_one_trace_until_its_last_byte(
    gateway: Gateway, spans: InMemorySpanExporter
) -> None:
    trace = uuid4().hex
    answer, secrets = post(gateway, trace, stream="true")
    assert "image_edit.completed" in answer.text
    found_ = tree(spans, trace)
    front, rpc = found_["caller/POST /v1/images/edits"], "POST /v1/images/edits/StreamEditImage"
    assert {f"StreamEditImage/{part}" for part in PARTS} <= set(found_)
    assert front.end_time >= found_[rpc].end_time  # type: ignore[operator]
    _tells_nothing(spans, secrets)


def test_a_failure_is_marked_and_tells_no_more(
    gateway: Gateway, spans: InMemorySpanExporter
) -> None:
    trace = uuid4().hex
    answer, secrets = post(gateway, trace, directive="[sandbox error429]")
    assert answer.status_code == 503
    found_ = tree(spans, trace)
    attempt = found_["EditImage/attempt"]
    assert attempt.attributes == {"imageedit.route": ROUTE, "imageedit.outcome": "upstream_busy"}
    rpc = found_["POST /v1/images/edits/EditImage"]
    for failed in (attempt, rpc, found_["caller/POST /v1/images/edits"]):
        assert not failed.status.is_ok
        assert failed.status.description is None
        assert failed.events == ()
    _tells_nothing(spans, secrets)


def _tells_nothing(exporter: InMemorySpanExporter, secrets: dict[str, str]) -> None:
    places = [(span.name, span.to_json().encode()) for span in exporter.get_finished_spans()]
    assert found(secrets, places) == set()


def test_without_a_caller_that_traces_the_front_begins(
    gateway: Gateway, spans: InMemorySpanExporter
) -> None:
    requests.get(f"{gateway.url}/v1/models", timeout=5)

    def made() -> list[ReadableSpan]:
        wanted = {"ListModels", "GET /v1/models"}
        return [span for span in spans.get_finished_spans() if span.name in wanted]

    assert eventually(lambda: len(made()) == 2)
    rpc, front = made()
    assert (rpc.name, front.name, front.parent) == ("ListModels", "GET /v1/models", None)
    assert rpc.parent is not None
    assert rpc.parent.span_id == front.context.span_id


def test_off_it_costs_next_to_nothing(gateway: Gateway, sandbox: SandboxServer) -> None:
    @server.tracing.spans.traced("nothing")
    def nothing() -> None:
        pass

    began = time.thread_time()
    for _ in range(10_000):
        nothing()
        gateway_http.tracing.spans.carried()
    assert time.thread_time() - began < 0.2
    sandbox.forget_calls()
    post(gateway, uuid4().hex)
    assert "traceparent" not in sandbox.calls[0].headers


EXPORTS = [server.tracing_export, gateway_http.tracing_export]


@pytest.mark.parametrize("module", EXPORTS)
@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"},
        {"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"},
    ],
)
def test_it_is_off_unless_asked_for(module: object, environment: dict[str, str]) -> None:
    with module.Export(environment, "a-service"):  # type: ignore[attr-defined]
        assert server.tracing.spans.begin("x", {}) is None
        assert gateway_http.tracing.spans.begin({}) is None


@pytest.mark.parametrize("module", ["server", "gateway_http"])
def test_an_exporter_that_is_not_there_is_named(module: str, tmp_path: Path) -> None:
    environment = {"OTEL_TRACES_EXPORTER": "zipkin", "IMAGEEDIT_HTTP_ADDRESS": "127.0.0.1:0"}
    with program("-m", module, environment=environment, folder=tmp_path) as running:
        assert running.process.wait(20) == 2
        running.wait_for('OTEL_TRACES_EXPORTER: "zipkin"')


class Collector:
    """An OTLP collector over HTTP; `received` has what came."""

    def __init__(self) -> None:
        self.received: SimpleQueue[ExportTraceServiceRequest] = SimpleQueue()
        received = self.received

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                received.put(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Collector:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def test_both_programs_send_their_spans(sandbox: SandboxServer, tmp_path: Path) -> None:
    with Collector() as collector:
        settings = sandbox.environment() | {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_BSP_SCHEDULE_DELAY": "50",
        }
        with gateway_programs(settings, tmp_path) as gateway:
            requests.get(f"{gateway.url}/v1/models", timeout=5)
            services: dict[str, str] = {}
            while len(services) < 2:
                for group in collector.received.get(timeout=20).resource_spans:
                    name = next(
                        pair.value.string_value
                        for pair in group.resource.attributes
                        if pair.key == "service.name"
                    )
                    for scope in group.scope_spans:
                        services[name] = scope.spans[0].name
    assert services["imageedit-service"] == "ListModels"
    assert "imageedit-front" in services
