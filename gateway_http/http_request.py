"""One request on a connection: errors as JSON, exact bodies, also before the app is reached."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from uuid import uuid4

from cheroot.server import HTTPRequest

from gateway_http import errors, head
from gateway_http.arrival import CONFIRM
from gateway_http.body import ChunkedBody, SizedBody
from gateway_http.bounds import MAX_HEAD
from gateway_http.leaving import LEAVING, Leaving


class Request(HTTPRequest):
    """What cheroot parses, and how it is answered."""

    header_reader = head.Reader()

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.inheaders = head.Headers()
        self.proxy_mode = True  # a request may name the whole URI (RFC 9112, 3.2.2)

    def parse_request(self) -> None:
        """Read the request's line and headers; what cannot be read is the client's fault."""
        try:
            whole = self.conn.rfile.peek(self.conn.gathering.head)
            if len(whole) <= MAX_HEAD:
                head.check(whole)
            super().parse_request()
            if self.ready:
                head.check_version(self.request_protocol.decode(), self.inheaders)
        except ValueError as error:
            known = type(error) is ValueError  # not of a codec, which quotes the request
            self.ready = False
            self.simple_response("400 Bad Request", str(error) if known else "")

    def respond(self) -> None:
        """Let the app answer."""
        self.conn.arrival.proven()
        if self.chunked_read:
            self.rfile = ChunkedBody(self.conn.rfile, self._invite)
        else:
            length = int(self.inheaders.get(b"Content-Length", b"0"))
            self.rfile = SizedBody(self.conn.rfile, length, self._invite)
        gateway = self.server.gateway(self)
        gateway.env[LEAVING] = Leaving(self.server.poller, self.conn.socket)
        self.conn.rfile.waits = True
        gateway.respond()
        self.ensure_headers_sent()
        if self.chunked_write:
            self.conn.wfile.write(b"0\r\n\r\n")
        self.conn.wfile.send()
        self.conn.arrival.written(gateway.env.get(CONFIRM), closes=self.close_connection)

    def send_headers(self) -> None:
        """Send the answer's headers; a connection in the middle of a body ends with the answer."""
        if not self.rfile.exhausted:
            self.close_connection = self.conn.unread = True
        # Of an answer that is here whole, the pieces go out together; an event goes at once.
        self.conn.wfile.gathers = any(name == b"Content-Length" for name, _ in self.outheaders)
        super().send_headers()

    def simple_response(self, status: str, msg: str = "") -> None:
        """Answer a request that never reached the app, in the shape of every error."""
        code = int(status[:3])
        problem = _problem(code, msg or status[4:])
        request_id, body = str(uuid4()), problem.body()
        self.close_connection = self.conn.unread = True
        lines = (
            f"{self.server.protocol} {status}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n"
            f"x-request-id: {request_id}\r\n"
        )
        lines += "".join(f"{name}: {value}\r\n" for name, value in problem.headers.items()) + "\r\n"
        with suppress(OSError):
            self.conn.wfile.write(lines.encode("latin-1") + body)
        self.server.metrics.refused("connection", code)
        self.server.journal.write("refused", status=code, request_id=request_id)

    def _invite(self) -> None:
        # A client whose body comes already has been invited, or did not wait (RFC 9110, 10.1.1).
        asks = self.inheaders.awaits_continue and self.response_protocol == "HTTP/1.1"
        if asks and not self.conn.rfile.has_data():
            self.conn.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")


def _problem(status: int, message: str) -> errors.HttpError:
    if status == 503:
        return errors.busy(message)
    # A version or coding that we don't speak is the request's fault (RFC 9110, 15.6.2 and 15.6.6).
    if status < 500 or status in {501, 505}:
        return errors.refused(status, message)
    return errors.bug()
