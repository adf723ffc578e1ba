"""One client's connection, from its first request to its end."""

from __future__ import annotations

import socket
from functools import partial
from typing import Any

from cheroot.server import HTTPConnection

from gateway_http.arrival import Arrival
from gateway_http.gathering import Gathering
from gateway_http.http_request import Request
from gateway_http.inflow import Inflow
from gateway_http.outflow import Outflow
from gateway_http.patience import Patience


class Connection(HTTPConnection):
    """The poller's or one thread's at a time; `server` is the `Listener`.

    `unread` tells that something it sends was not read; `verdict` is the status and the words for
    a request that came too late or not whole; `looked` and `swallowed` are the poller's notes.
    """

    RequestHandlerClass = Request
    unread = False
    verdict: tuple[str, str] | None = None
    looked = 0.0
    swallowed = 0

    def __init__(self, server: Any, client: socket.socket, address: Any) -> None:
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
        self.server.working.add(self)
        try:
            return bool(super().communicate())  # type: ignore[no-untyped-call] # cheroot has no types
        finally:
            self.server.working.discard(self)

    def close(self) -> None:
        """Let it be closed so that the answer arrives; nobody waits for that here."""
        self.server.poller.call(partial(self.server.farewell.begin, self))

    def destroy(self) -> None:
        """Close the socket."""
        super().close()
        self.wfile.close()

    def _patience(self) -> Patience:
        return Patience(self._bounds.idle, self._bounds.rate)
