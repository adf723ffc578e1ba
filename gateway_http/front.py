"""The running front: listens, and leaves in order."""

from __future__ import annotations

import resource
from contextlib import suppress
from threading import Thread

from gateway_http.app import create_app
from gateway_http.bounds import MAX_CONNECTIONS, Bounds
from gateway_http.channel import Service
from gateway_http.drain import Drain
from gateway_http.journal import Journal
from gateway_http.listener import Listener
from gateway_http.metrics import Metrics
from gateway_http.settings import Settings
from gateway_http.upload import MARGIN

UPLOAD_ALLOWANCE = 60.0
"""Seconds that a held edit may still need beside its call, when draining."""

OPEN_FILES = 16_384
"""Wanted: each connection is one, and each picture above 1 MiB another."""


class Front:
    """The HTTP front on its address, which asks `service` and writes to `journal`."""

    def __init__(self, settings: Settings, service: Service, journal: Journal) -> None:
        self._settings = settings
        self._service = service
        self._journal = journal
        self._drain = Drain()
        metrics = Metrics()
        app = create_app(settings, service, journal, drain=self._drain, metrics=metrics)
        bounds = Bounds(connections=min(MAX_CONNECTIONS, _open_files() // 2))
        self._listener = Listener(
            settings.http_address, app, settings.threads, journal, bounds=bounds, metrics=metrics
        )

    def start(self) -> None:
        """Serve from now on; raises OSError when the address cannot be listened on."""
        self._listener.prepare()
        Thread(target=self._listener.serve, name="listener").start()
        host, port = self._listener.bind_addr
        self._journal.write("listening", host=host, port=port, grpc=self._settings.grpc_address)

    def drain(self, signal: str) -> bool:
        """End /readyz and new edits, wait for the held ones, and tell whether all ended in time.

        `signal` is why, for the journal.
        """
        self._drain.begin()
        self._listener.drain()
        self._journal.write("draining", signal=signal)
        return self._drain.wait(self._settings.attempt_timeout + MARGIN + UPLOAD_ALLOWANCE)

    def stop(self, *, finished: bool) -> None:
        """Stop listening; what is not `finished` is cut."""
        if not finished:
            self._service.close()  # ends the calls, and by that the threads that wait for them
        self._listener.stop()
        self._service.close()
        self._journal.write("stopped", finished=finished)


def _open_files() -> int:
    """Allow this process more open files, as far as it may, and return how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted if soft == resource.RLIM_INFINITY else soft
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
