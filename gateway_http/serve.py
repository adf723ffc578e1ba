"""The program: listens, and leaves in order when told to."""

from __future__ import annotations

import os
import resource
import signal
import sys
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


def serve(settings: Settings, journal: Journal | None = None) -> int:
    """Serve until SIGTERM or SIGINT, then drain; return the exit code. Main thread only.

    The first signal ends /readyz and new edits, and waits for the held ones; a second stops now.
    Raises OSError when the address cannot be listened on.
    """
    journal = journal or Journal(sys.stderr)
    # Waited for instead of handled: no code then runs in the middle of another's lock. Threads
    # inherit the mask, so this comes before any is started.
    signals = _wanted_signals()
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    service, drain = Service(settings), Drain()
    metrics = Metrics()
    app = create_app(settings, service, journal, drain=drain, metrics=metrics)
    bounds = Bounds(connections=min(MAX_CONNECTIONS, _open_files() // 2))
    listener = Listener(
        settings.http_address, app, settings.threads, journal, bounds=bounds, metrics=metrics
    )
    listener.prepare()
    Thread(target=listener.serve, name="listener").start()
    host, port = listener.bind_addr
    journal.write("listening", host=host, port=port, grpc=settings.grpc_address)

    received = signal.sigwait(signals)
    drain.begin()
    listener.drain()
    journal.write("draining", signal=signal.Signals(received).name)
    Thread(target=_stop_on, args=(signals, journal), name="second signal", daemon=True).start()
    finished = drain.wait(settings.attempt_timeout + MARGIN + UPLOAD_ALLOWANCE)
    if not finished:
        service.close()  # ends the calls, and by that the threads that wait for them
    listener.stop()
    service.close()
    journal.write("stopped", finished=finished)
    return 0 if finished else 1


def _open_files() -> int:
    """Allow this process more open files, as far as it may, and return how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted if soft == resource.RLIM_INFINITY else soft
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def _wanted_signals() -> set[signal.Signals]:
    wanted = {signal.SIGTERM, signal.SIGINT}
    # A shell without job control starts background programs with SIGINT ignored: it stays so.
    return {one for one in wanted if signal.getsignal(one) is not signal.SIG_IGN}


def _stop_on(signals: set[signal.Signals], journal: Journal) -> None:
    received = signal.sigwait(signals)
    journal.write("stopped", signal=signal.Signals(received).name, finished=False)
    os._exit(1)
