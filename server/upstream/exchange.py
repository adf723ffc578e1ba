"""One HTTP request and its whole answer, by `requests`, over a connection that is ready."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.client import HTTPException, parse_headers
from http.client import HTTPResponse as StandardResponse
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

from requests import PreparedRequest, RequestException
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPResponse, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from server.providers.base import Answer
from server.upstream.attempt import Attempt
from server.upstream.event_stream import CutShort, Endless, follow

USER_AGENT = f"imageedit-gateway/{version('imageedit-gateway')}"
_PIECE = 1 << 20
# "Processing" every few seconds for as long as an attempt may take, and no more.
MAX_INTERIM = 100

# Its debug lines and warnings hold whole URLs, and those of results are signed.
logging.getLogger("urllib3").setLevel(logging.ERROR)


class Unanswered(Exception):
    """Sending began and no whole, readable answer came: whether it was billed is unknown."""


class TooLarge(Unanswered):
    """The answer's body is over the limit."""


def exchange(
    request: PreparedRequest,
    wire: socket.socket,
    attempt: Attempt,
    *,
    limit: int,
    on_partial: Callable[[bytes], None] | None = None,
) -> Answer:
    """Send `request` over `wire` and return the answer, its body decoded and whole.

    With `on_partial`, an answer that comes as events has the data of the last one for its body, and
    `on_partial` gets the partial pictures before it; what that raises is passed on.
    Once, as it is: nothing is repeated or followed, no proxy, cookie or .netrc is used, whatever
    the environment says. Raises TooLarge if the decoded body has over `limit` bytes, Unanswered,
    TimedOut and Cancelled.
    """
    try:
        with ExitStack() as stack:
            pool = _pool_of(request, wire)
            stack.callback(pool.close)
            response = _Adapter(pool).send(request, stream=True, timeout=wire.gettimeout())
            stack.callback(response.close)
            kind = response.headers.get("content-type", "").lower()
            if on_partial is not None and kind.startswith("text/event-stream"):
                body = _answer_of(response.raw, attempt, limit, on_partial)
            else:
                body = _read(response.raw, attempt, limit)
    except (RequestException, HTTPError, HTTPException, OSError) as error:
        attempt.check()
        raise Unanswered(_why(error)) from None
    if response.status_code < 200:
        raise Unanswered(f"a final answer cannot have status {response.status_code}")
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(status=response.status_code, headers=headers, body=body)


def _read(raw: HTTPResponse, attempt: Attempt, limit: int) -> bytes:
    pieces: list[bytes] = []
    size, most = 0, _PIECE
    if raw.length_remaining and not raw.headers.get("content-encoding"):
        most = min(raw.length_remaining, limit + 1)  # all at once, and not copied again
    # `raw.read` never decodes more than it is asked for, so a bomb is met piece by piece.
    while piece := raw.read(most, decode_content=True):
        pieces.append(piece)
        size += len(piece)
        if size > limit:
            raise TooLarge(f"the answer's body is over {limit} bytes")
        attempt.check()
    if raw.length_remaining is None:
        # Without a length, a connection that was cut can pass for the end of the body, when the
        # attempt's end cut it, or of the headers.
        attempt.check()
        if not raw.chunked and not size:
            raise Unanswered("the connection ended before a body")
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _answer_of(
    raw: HTTPResponse, attempt: Attempt, limit: int, on_partial: Callable[[bytes], None]
) -> bytes:
    """Return the data of the event that is the answer."""
    try:
        return follow(_as_it_comes(raw, attempt), limit, on_partial)
    except Endless as error:
        raise TooLarge(str(error)) from None
    except CutShort as error:
        attempt.check()
        raise Unanswered(str(error)) from None


def _as_it_comes(raw: HTTPResponse, attempt: Attempt) -> Iterator[bytes]:
    while piece := raw.read1(_PIECE, decode_content=True):
        attempt.check()
        yield piece


def _why(error: Exception) -> str:
    """Name the innermost cause; its text may hold URLs, so only the class is told."""
    while True:
        inner = next((arg for arg in error.args if isinstance(arg, Exception)), None)
        inner = getattr(error, "reason", None) if inner is None else inner
        if not isinstance(inner, Exception):
            return f"no readable answer: {type(error).__name__}"
        error = inner


class _Final(StandardResponse):
    """The final answer: interim ones before it are skipped (RFC 9110, 15.2).

    `http.client` skips 100 alone, without end, and takes 102 and 103 for the answer.
    """

    def _read_status(self) -> tuple[str, int, str]:
        for _ in range(MAX_INTERIM + 1):
            line: tuple[str, int, str] = super()._read_status()  # type: ignore[misc]
            if not 100 <= line[1] < 200 or line[1] == 101:
                return line
            parse_headers(self.fp)
        raise HTTPException("interim answers without end")


class _Plain(HTTPConnection):
    """A connection that was made before `urllib3` asked for it."""

    response_class = _Final

    def __init__(self, *args: Any, ready: socket.socket, **options: Any) -> None:
        super().__init__(*args, **options)
        self._ready = ready

    def connect(self) -> None:
        self.sock = self._ready


class _Secure(HTTPSConnection):
    """The same, encrypted and verified."""

    response_class = _Final

    def __init__(self, *args: Any, ready: socket.socket, **options: Any) -> None:
        super().__init__(*args, **options)
        self._ready = ready

    def connect(self) -> None:
        self.sock = self._ready
        self.is_verified = True


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _Secure


class _Adapter(HTTPAdapter):
    """`requests` over one ready connection.

    A pooled one might be dead, and nobody could say whether a request on it was sent.
    """

    def __init__(self, pool: HTTPConnectionPool) -> None:
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)
        self._pool = pool

    def get_connection_with_tls_context(self, *_: Any, **__: Any) -> HTTPConnectionPool:
        """Return the pool whose one connection is ready."""
        return self._pool


def _pool_of(request: PreparedRequest, wire: socket.socket) -> HTTPConnectionPool:
    url = urlsplit(request.url or "")
    kind = _SecurePool if url.scheme == "https" else _PlainPool
    return kind(url.hostname or "", url.port, maxsize=1, ready=wire)
