"""cheroot, told to keep our promises: errors as JSON, exact bodies, answers that arrive.

cheroot parses requests and runs the app in its threads. Who accepts, waits for clients and closes
is ours: one thread for all connections on which no request is under way.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from cheroot.server import HTTPConnection, HTTPRequest
from cheroot.wsgi import Server

from gateway_http import errors, head
from gateway_http.arrival import CONFIRM, Arrival
from gateway_http.body import ChunkedBody, SizedBody
from gateway_http.bounds import MAX_HEAD, Bounds
from gateway_http.farewell import Farewell
from gateway_http.gathering import Gathering
from gateway_http.inflow import Inflow
from gateway_http.journal import Journal
from gateway_http.leaving import LEAVING, Leaving
from gateway_http.metrics import Metrics
from gateway_http.outflow import Outflow
from gateway_http.patience import Patience
from gateway_http.poller import Poller
from gateway_http.reception import Reception
from gateway_http.slow_bodies import SlowBodies

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

FAREWELL = 0.5
"""Seconds that clients have, once all is answered, to take their answers and leave."""

RELIEF = 0.1
"""Seconds after which requests without a thread are looked at again."""


class Request(HTTPRequest):
    """One request on a connection."""

    header_reader = head.Reader()

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.inheaders = head.Headers()
        self.proxy_mode = True  # a request may name the whole URI (RFC 9112, 3.2.2)

    def parse_request(self) -> None:
        """Read the request's line and headers; what cannot be read is the client's fault."""
        try:
            whole = bytes(self.conn.rfile.held()[: self.conn.gathering.head])
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
        self.conn.arrival.written(gateway.env.get(CONFIRM), closes=self.close_connection)

    def send_headers(self) -> None:
        """Send the answer's headers; a connection in the middle of a body ends with the answer."""
        if not self.rfile.exhausted:
            self.close_connection = self.conn.unread = True
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


class Connection(HTTPConnection):
    """One client's connection, the poller's or one thread's at a time.

    `unread` tells that something it sends was not read; `verdict` is the status and the words for
    a request that came too late or not whole; `looked` and `swallowed` are the poller's notes.
    """

    RequestHandlerClass = Request
    unread = False
    verdict: tuple[str, str] | None = None
    looked = 0.0
    swallowed = 0

    def __init__(self, server: Listener, client: socket.socket, address: Any) -> None:
        self._bounds = server.bounds
        inflow = Inflow(client, self._patience(), server.slow_bodies)
        outflow = Outflow(client, self._patience())
        super().__init__(server, client, lambda _, mode, __: inflow if "r" in mode else outflow)
        self.remote_addr, self.remote_port = address[:2]
        self.ssl_env: dict[str, str] = {}
        self.arrival = Arrival()
        self.gathering = Gathering()

    def begin(self, gathering: Gathering) -> None:
        """Begin with the next request, which is `gathering`."""
        self.gathering = gathering
        self.rfile.waits = False
        self.rfile.patience, self.wfile.patience = self._patience(), self._patience()

    def communicate(self) -> bool:
        """Answer one request, and tell whether the connection may have another."""
        if self.verdict is not None:
            Request(self.server, self).simple_response(*self.verdict)
            return False
        return bool(super().communicate())  # type: ignore[no-untyped-call] # cheroot has no types

    def close(self) -> None:
        """Let it be closed so that the answer arrives; nobody waits for that here."""
        self.server.poller.call(partial(self.server.farewell.begin, self))

    def destroy(self) -> None:
        """Close the socket."""
        super().close()

    def _patience(self) -> Patience:
        return Patience(self._bounds.idle, self._bounds.rate)


class Listener(Server):
    """The WSGI server: `threads` requests at once on `address`, faults to `journal`.

    `bounds` say what clients may cost. `draining` ends each connection with its next answer.
    """

    max_request_header_size = MAX_HEAD
    draining = False
    _connections: Any  # cheroot's own manager

    def __init__(
        self,
        address: tuple[str, int],
        app: WSGIApplication,
        threads: int,
        journal: Journal,
        *,
        bounds: Bounds | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self.bounds = bounds or Bounds()
        super().__init__(
            address,
            app,
            numthreads=threads,
            server_name="imageedit",
            request_queue_size=1_024,
            timeout=max(1, int(self.bounds.idle)),
        )
        self.journal = journal
        self.metrics = metrics or Metrics()
        self.poller = Poller(lambda error: self.error_log(type(error).__name__, 40))
        self.farewell = Farewell(self.poller, self.bounds)
        self.slow_bodies = SlowBodies()
        self._spare = max(1, threads // 8)
        self._served = Event()

    def prepare(self) -> None:
        """Bind, and start the threads; raises OSError."""
        super().prepare()
        self._connections.close()  # cheroot's own, which gives each connection a thread to wait in
        self._reception = Reception(
            self.socket, self.farewell, self.bounds, partial(Connection, self), self._work
        )

    def serve(self) -> None:
        """Serve until `stop`."""
        try:
            self.poller.run()
        finally:
            self._served.set()

    def drain(self) -> None:
        """End connections with their next answer, and bodies that take long from now on."""
        self.draining = True
        until = self.poller.now() + self.bounds.last_bodies
        end = self.slow_bodies.end
        self.poller.call(partial(self.poller.alarm, self, until, end))

    def stop(self) -> None:
        """Stop accepting, let the requests under way end, and send what is left of answers."""
        if not self.ready:
            return
        self.ready = False
        closed = Event()
        self.poller.call(self._reception.close)
        self.poller.call(closed.set)
        closed.wait(self.shutdown_timeout)  # what came after the threads' end would be lost
        self.requests.stop(self.shutdown_timeout)
        self.poller.call(partial(self.farewell.finish, FAREWELL))
        self._served.wait(self.bounds.idle)

    def put_conn(self, conn: Connection) -> None:
        """Await the next request of a connection whose last one was answered."""
        self.poller.call(partial(self._reception.expect, conn))

    @property
    def can_add_keepalive_connection(self) -> bool:
        """Whether a connection may have another request after this one."""
        return self.ready and not self.draining

    def error_log(self, msg: str = "", level: int = 20, traceback: bool = False) -> None:
        """Write what cheroot reports, without the traceback: it may quote the request."""
        if level >= 30:
            self.journal.write("server", problem=str(msg)[:100])

    def _work(self, connection: Connection) -> None:
        self.requests.put(connection)
        self._relieve()

    def _relieve(self) -> None:
        """Where threads are short, take them back from the most silent bodies."""
        waiting = self.requests.qsize
        if self.requests.idle - waiting < self._spare:
            self.slow_bodies.give_up(max(1, waiting))
            if waiting:
                self.poller.alarm(self._relieve, self.poller.now() + RELIEF, self._relieve)


def _problem(status: int, message: str) -> errors.HttpError:
    if status == 503:
        return errors.busy(message)
    # A version or coding that we don't speak is the request's fault (RFC 9110, 15.6.2 and 15.6.6).
    if status < 500 or status in {501, 505}:
        return errors.refused(status, message)
    return errors.bug()
