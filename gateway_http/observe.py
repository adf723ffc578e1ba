"""WSGI middleware that sees each request whole: one log line and the metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from gateway_http.journal import Journal
from gateway_http.metrics import Metrics
from gateway_http.receive import Body
from gateway_http.tracing import spans

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

ROUTE = "gateway_http.route"
"""Where in the environ the app leaves the URL rule that matched."""
_MAX_PATH = 200


class Observer:
    """Wraps `app`; `clock` gives seconds that only grow."""

    def __init__(
        self, app: WSGIApplication, journal: Journal, metrics: Metrics, clock: Callable[[], float]
    ) -> None:
        self._app = app
        self._journal = journal
        self._metrics = metrics
        self._clock = clock

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer the request, counting until the server closes the answer."""
        started = self._clock()
        span = spans.begin(environ)
        counted = environ["wsgi.input"] = CountedBody(environ["wsgi.input"])
        seen: dict[str, str] = {"status": "500"}

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            seen["status"] = status[:3]
            seen.update((name.lower(), value) for name, value in headers)
            return start_response(status, headers, *rest)

        def finish(sent: int) -> None:
            seconds = self._clock() - started
            method, status = environ["REQUEST_METHOD"], int(seen["status"])
            route = environ.get(ROUTE, "none")
            self._metrics.in_flight.dec()
            self._metrics.answered(
                method, route, status, seconds=seconds, received=counted.received, sent=sent
            )
            if span is not None:
                span.end(method, route, status, seen.get("x-request-id"))
            self._journal.write(
                "request",
                method=method[:20],
                path=_printable(environ.get("PATH_INFO", "")),
                status=status,
                ms=round(seconds * 1_000, 1),
                bytes_in=counted.received,
                bytes_out=sent,
                request_id=seen.get("x-request-id"),
            )

        self._metrics.in_flight.inc()
        try:
            return Answer(self._app(environ, start), finish)
        finally:
            if span is not None:
                span.leave()


class CountedBody:
    """A request's body that knows how many bytes were `received`."""

    def __init__(self, body: Body) -> None:
        self._body = body
        self.received = 0

    def read(self, size: int = -1, /) -> bytes:
        """Return what the body gives."""
        data = self._body.read(size)
        self.received += len(data)
        return data


class Answer:
    """A response's body that calls `finish` with its size in bytes once it is closed."""

    def __init__(self, chunks: Iterable[bytes], finish: Callable[[int], None]) -> None:
        self._chunks = chunks
        self._finish: Callable[[int], None] | None = finish
        self._sent = 0

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self._sent += len(chunk)
            yield chunk

    def close(self) -> None:
        """Close the response, as WSGI servers do; only the first time counts."""
        finish, self._finish = self._finish, None
        try:
            close = getattr(self._chunks, "close", None)
            if close is not None:
                close()
        finally:
            if finish is not None:
                finish(self._sent)


def _printable(path: str) -> str:
    # WSGI carries the path's bytes as latin-1 characters; some of Unicode's end lines, too.
    text = path[:_MAX_PATH].encode("latin-1", "replace").decode("utf-8", "replace")
    return "".join(one if one.isprintable() else "\ufffd" for one in text)
