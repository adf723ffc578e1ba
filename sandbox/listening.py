"""Connections and routes: each request to its vendor, each connection in a thread of its own.

Routes: the three vendors' endpoints, `GET /siliconflow/results/…`, `GET /healthz`,
`GET /_sandbox/calls` (what was asked) and `DELETE /_sandbox/calls` (forget it).
"""

from __future__ import annotations

import logging
import socket
import socketserver
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from sandbox import answering, receiving, results, sending
from sandbox.calls import Call, CallLog
from sandbox.openai import OpenAI
from sandbox.openrouter import OpenRouter
from sandbox.siliconflow import SiliconFlow
from sandbox.wire import Reply, Request, Vendor

log = logging.getLogger(__name__)


class Connection(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Listener

    def do_GET(self) -> None:
        """Answer any method."""
        try:
            self._answer()
        except (sending.HungUp, OSError):
            self.close_connection = True

    do_POST = do_DELETE = do_PUT = do_PATCH = do_HEAD = do_GET  # noqa: N815 - as above

    def _answer(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            body = receiving.body(self.rfile, headers)
        except receiving.BodyError as error:
            sending.send(self.connection, Reply.of(400, f"{error}"))
            self.close_connection = True
            return
        headers.setdefault("host", self.server.origin.removeprefix("http://"))
        request = Request(self.command, self.path.partition("?")[0], headers, body)
        call, reply = self._replied(request)
        if call is not None and reply.manner not in {"silent", "reset", "close", "drip_headers"}:
            call.status = reply.status
        try:
            if not sending.send(self.connection, reply):
                self.close_connection = True
        except (sending.HungUp, OSError):
            if call is not None:
                call.hung_up = True
            raise

    def _replied(self, request: Request) -> tuple[Call | None, Reply]:
        """Return the record, for requests that are listed, and the reply."""
        vendor = next((v for v in self.server.vendors if v.endpoint == request.path), None)
        if vendor is not None and request.method == "POST":
            return answering.answer(vendor, request, self.server.log, self._wait, self.server.share)
        match request.method, request.path:
            case "GET", "/healthz":
                return None, Reply.of(200, {"status": "ok", "sandbox": True})
            case "GET", "/_sandbox/calls":
                calls = [call.document() for call in self.server.log.all()]
                return None, Reply.of(200, {"calls": calls})
            case "DELETE", "/_sandbox/calls":
                self.server.log.clear()
                return None, Reply.of(200, {"calls": []})
        call = Call.of(request)
        self.server.log.add(call)
        if request.method == "GET" and request.path.startswith(results.PREFIX):
            gone = Reply(404, b"no such result", "text/plain")
            return call, self.server.results.find(request.path) or gone
        parts = request.path.split("/")
        near = next((v for v in self.server.vendors if v.name == parts[1]), self.server.vendors[0])
        wrong_method = vendor is not None
        message = f"Invalid URL ({request.method} {request.path})"
        return call, near.refuse(message, 405 if wrong_method else 404)

    def _wait(self, seconds: float) -> None:
        """Wait as long as the server and a directive want; note a client that leaves."""
        total = seconds + self.server.delay
        if total > 0:
            sending.wait(self.connection, total)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Log at a level that is off by default."""
        log.debug(format, *args)


class Listener(ThreadingHTTPServer):
    """A thread for each connection; knows which are open, so that closing ends them all."""

    daemon_threads = True
    request_queue_size = 2048

    def __init__(self, address: tuple[str, int], delay: float, share: float) -> None:
        self.delay = delay
        self.share = share
        self.log = CallLog()
        self.results = results.Results()
        self.vendors: list[Vendor] = [OpenAI(), OpenRouter(), SiliconFlow(self.results)]
        self._open: set[socket.socket] = set()
        self._changed = threading.Condition()
        super().__init__(address, Connection)

    def server_bind(self) -> None:
        """Bind without the base class's look-up of the host's name, which may take long."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"http://{self.server_name}:{self.server_port}"

    def process_request(self, request: Any, client_address: Any) -> None:
        """Note a new connection."""
        with self._changed:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget a connection that ends."""
        super().shutdown_request(request)
        with self._changed:
            self._open.discard(request)
            self._changed.notify_all()

    def hang_up(self) -> None:
        """End every connection, whatever it waits for."""
        with self._changed:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # the other side was faster
            self._changed.wait_for(lambda: not self._open, timeout=2)
