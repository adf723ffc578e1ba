"""cheroot, told to keep our promises: errors as JSON, exact bodies, answers that arrive.

An answer sent before the whole body was read closes the connection, and what still arrives is
swallowed for a while: closing at once would reset it and lose the answer (RFC 9112, 9.6).
"""

from __future__ import annotations

import re
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from cheroot.server import HeaderReader, HTTPConnection, HTTPRequest
from cheroot.wsgi import Server

from gateway_http import errors
from gateway_http.arrival import CONFIRM, Arrival
from gateway_http.body import ChunkedBody, SizedBody
from gateway_http.journal import Journal
from gateway_http.metrics import Metrics

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

IDLE = 30.0
LINGER_SECONDS = 5.0
LINGER_BYTES = 100_000_000
MAX_HEADER = 65_536
_SLICE = 262_144


_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


class Headers(dict[bytes, bytes]):
    """A request's headers; `awaits_continue` tells that the client asks before it sends a body."""

    awaits_continue = False

    def __setitem__(self, name: bytes, value: bytes) -> None:
        if name == b"Content-Length" and self.get(name, value) != value:
            raise ValueError("Content-Length is given twice.")
        super().__setitem__(name, value)


class Reader(HeaderReader):
    """Reads headers; refuses what two servers could read in two ways."""

    def __call__(self, rfile: Any, hdict: Any = None) -> Headers:
        """Fill `hdict`; raises ValueError, which cheroot answers with a 400."""
        headers: Headers = super().__call__(rfile, hdict)
        if any(_CONTROL.search(value) for value in headers.values()):
            raise ValueError("A header holds a control character.")
        if headers.get(b"Transfer-Encoding", b"chunked").lower() != b"chunked":
            raise ValueError("Transfer-Encoding must be chunked, or not there.")
        length = headers.get(b"Content-Length", b"0")
        if not re.fullmatch(rb"[0-9]{1,18}", length):
            raise ValueError("Content-Length must be a number.")
        if b"Content-Length" in headers and b"Transfer-Encoding" in headers:
            raise ValueError("Content-Length and Transfer-Encoding exclude each other.")
        if headers.pop(b"Expect", b"").lower() == b"100-continue":
            headers.awaits_continue = True
        return headers

    def _transform_key(self, key_name: bytes) -> bytes:
        if not _TOKEN.fullmatch(key_name):
            raise ValueError("A header's name is malformed.")
        return key_name.title()

    def _allow_header(self, key_name: bytes) -> bool:
        # WSGI would confuse it with the one that has a hyphen.
        return b"_" not in key_name


class Request(HTTPRequest):
    """One request on a connection."""

    header_reader = Reader()

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.inheaders = Headers()
        self.proxy_mode = True  # a request may name the whole URI (RFC 9112, 3.2.2)

    def parse_request(self) -> None:
        """Read the request's line and headers; what cannot be read is the client's fault."""
        try:
            super().parse_request()
        except ValueError:
            self.simple_response("400 Bad Request", "The request line is malformed.")
            self.ready = False

    def respond(self) -> None:
        """Let the app answer."""
        self.conn.arrival.proven()
        if self.chunked_read:
            self.rfile = ChunkedBody(self.conn.rfile, self._invite)
        else:
            length = int(self.inheaders.get(b"Content-Length", b"0"))
            self.rfile = SizedBody(self.conn.rfile, length, self._invite)
        gateway = self.server.gateway(self)
        gateway.respond()
        self.ensure_headers_sent()
        if self.chunked_write:
            self.conn.wfile.write(b"0\r\n\r\n")
        self.conn.arrival.written(gateway.env.get(CONFIRM), closes=self.close_connection)

    def send_headers(self) -> None:
        """Send the answer's headers; a connection in the middle of a body ends with the answer."""
        if not self.rfile.exhausted:
            self.close_connection = self.conn.unread = True
        super().send_headers()

    def write(self, chunk: bytes) -> None:
        """Send `chunk` in slices: cheroot copies all that is left after each partial send."""
        for start in range(0, len(chunk), _SLICE):
            super().write(chunk[start : start + _SLICE])

    def simple_response(self, status: str, msg: str = "") -> None:
        """Answer a request that never reached the app, in the shape of every error."""
        code = int(status[:3])
        problem = _problem(code, msg or status[4:])
        request_id, body = str(uuid4()), problem.body()
        self.close_connection = self.conn.unread = True
        head = (
            f"{self.server.protocol} {status}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n"
            f"x-request-id: {request_id}\r\n"
        )
        head += "".join(f"{name}: {value}\r\n" for name, value in problem.headers.items()) + "\r\n"
        with suppress(OSError):
            self.conn.wfile.write(head.encode("latin-1") + body)
        self.server.metrics.refused("connection", code)
        self.server.journal.write("refused", status=code, request_id=request_id)

    def _invite(self) -> None:
        if self.inheaders.awaits_continue:
            self.conn.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")


class Connection(HTTPConnection):
    """One client's connection; `unread` tells that something it sends was not read."""

    RequestHandlerClass = Request
    unread = False

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.arrival = Arrival()

    def close(self) -> None:
        """Close it so that the answer arrives."""
        self.arrival.ended(self.socket)
        if self.unread:
            with suppress(OSError):
                self._swallow()
        super().close()

    def _swallow(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)
        scratch, left, end = bytearray(_SLICE), LINGER_BYTES, time.monotonic() + LINGER_SECONDS
        while left > 0 and (wait := end - time.monotonic()) > 0:
            self.socket.settimeout(wait)
            received = self.socket.recv_into(scratch)
            if received == 0:
                return
            left -= received


class Listener(Server):
    """The WSGI server: `threads` requests at once on `address`, faults to `journal`.

    A client that is silent for `idle` seconds, inside a request or between two, is left.
    """

    ConnectionClass = Connection
    max_request_header_size = MAX_HEADER
    keep_alive_conn_limit = 1_000

    def __init__(
        self,
        address: tuple[str, int],
        app: WSGIApplication,
        threads: int,
        journal: Journal,
        *,
        idle: float = IDLE,
        metrics: Metrics | None = None,
    ) -> None:
        super().__init__(
            address,
            app,
            numthreads=threads,
            server_name="imageedit",
            request_queue_size=1_024,
            timeout=idle,  # type: ignore[arg-type] # a socket takes fractions, too
        )
        self.journal = journal
        self.metrics = metrics or Metrics()

    def error_log(self, msg: str = "", level: int = 20, traceback: bool = False) -> None:
        """Write what cheroot reports, without the traceback: it may quote the request."""
        if level >= 30:
            self.journal.write("server", problem=str(msg)[:100])


def _problem(status: int, message: str) -> errors.HttpError:
    if status == 503:
        return errors.busy(message)
    # A version or coding that we don't speak is the request's fault (RFC 9110, 15.6.2 and 15.6.6).
    if status < 500 or status in {501, 505}:
        return errors.refused(status, message)
    return errors.bug()
