"""cheroot as we run it: it parses requests, and runs the app in its threads.

Who accepts, waits for clients and closes is ours: one thread for all connections on which no
request is under way.
"""

from __future__ import annotations

from functools import partial
from threading import Event
from typing import TYPE_CHECKING, Any

from cheroot.wsgi import Server

from gateway_http.bounds import MAX_HEAD, Bounds
from gateway_http.connection import Connection
from gateway_http.farewell import Farewell
from gateway_http.journal import Journal
from gateway_http.metrics import Metrics
from gateway_http.poller import Poller
from gateway_http.reception import Reception
from gateway_http.slow_bodies import SlowBodies

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

FAREWELL = 0.5
"""Seconds that clients have, once all is answered, to take their answers and leave."""

RELIEF = 0.1
"""Seconds after which requests without a thread are looked at again."""


class Listener(Server):
    """The WSGI server: `threads` requests at once on `address`, faults to `journal`.

    `bounds` say what clients may cost, and `working` who has a thread. `draining` ends each
    connection with its next answer.
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
        self.working: set[Connection] = set()
        self._threads, self._spare = threads, max(1, threads // 8)
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
        if self._threads - len(self.working) - waiting < self._spare:
            self.slow_bodies.give_up(max(1, waiting))
            if waiting:
                self.poller.alarm(self._relieve, self.poller.now() + RELIEF, self._relieve)
