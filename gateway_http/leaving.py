"""Whether a client hangs up while its edit is under way, so that the edit's call can be cancelled.

A reset is a hang-up, and so is an orderly end of the client's side, although HTTP would let a
client end its side and still read: time-outs of the SDKs and Ctrl-C of curl look just like that,
and nginx, too, takes it so (its status 499). Such a client is still answered, by that 499.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gateway_http.poller import READ, Poller

LEAVING = "gateway_http.leaving"
"""Where in the environ the request's `Leaving` is."""


class Leaving:
    """One request's client; `gone` tells that it has hung up while it was watched."""

    def __init__(self, poller: Poller, connection: socket.socket) -> None:
        self.gone = False
        self._cancel: Callable[[], object] | None = None
        self._poller = poller
        self._connection = connection

    @contextmanager
    def cancels(self, cancel: Callable[[], object]) -> Iterator[None]:
        """Call `cancel`, on another thread, once the client hangs up.

        To be used when the request's body has been read. A client that sends the next request
        already is not watched any further: what follows it cannot be seen.
        """
        self._cancel = cancel
        self._poller.watch(self._connection, READ, self._look)
        try:
            yield
        finally:
            # The poller is not woken for this: who waits for the connection next takes it over.
            self._cancel = None

    def _look(self) -> None:
        cancel = self._cancel
        try:
            gone = not self._connection.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            gone = True
        self._poller.forget(self._connection)
        if gone and cancel is not None:
            self.gone = True
            cancel()
