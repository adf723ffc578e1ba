"""`python -m cli.gateway`: the service and the front in one process, for `imageedit serve`.

The front's calls reach the service without a socket in between. Other callers find the service on
its address, as ever.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from functools import partial
from threading import Event, Thread

from gateway_http.__main__ import main as front_main
from gateway_http.channel import Service as Connected
from gateway_http.front import Front
from gateway_http.journal import Journal
from gateway_http.settings import Settings as FrontSettings
from imageedit.in_process import Handlers, InProcessChannel
from server.__main__ import main as service_main
from server.memory import give_memory_back
from server.serve import LOOK_SECONDS, STOP_SECONDS, Service, wanted_signals
from server.settings import Settings

SPARE_THREADS = 64
"""For what the front asks beside the calls that its requests wait for."""

SAME_SECONDS = 1.0
"""Within these a second signal is still the first: a supervisor tells a whole group, and
`imageedit serve` passes on what it is told itself."""


def run(settings: Settings, front: FrontSettings) -> int:
    """Serve until SIGTERM or SIGINT, then drain, the front first; return the exit code.

    A second signal, after `SAME_SECONDS`, cuts the held edits, whose upstream calls end with them,
    and stops.
    """
    # Waited for instead of handled: no code then runs in the middle of another's lock. Threads
    # inherit the mask, so this comes before any is started.
    signals = wanted_signals()
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    service = Service(settings)
    handlers = Handlers(service.interceptors)
    service.register(handlers)
    # Edits go on in their threads where their callers left.
    threads = front.threads + settings.max_edits + SPARE_THREADS
    connect = partial(InProcessChannel, handlers, threads)
    facade = Front(front, Connected(front, connect), Journal(sys.stderr))
    service.start()
    try:
        facade.start()
    except OSError as error:
        service.stop()
        raise OSError(f"IMAGEEDIT_HTTP_ADDRESS: cannot listen there: {error}") from None
    sys.stdout.write(f"listening on {service.address}\n")
    sys.stdout.flush()
    received = signal.Signals(signal.sigwait(signals))

    unfinished = Event()

    def drain() -> None:
        if not (finished := facade.drain(received.name)):
            unfinished.set()
        facade.stop(finished=finished)
        service.drain()

    began = time.monotonic()
    drained = Thread(target=drain, name="drain", daemon=True)
    drained.start()
    while drained.is_alive():
        again = signal.sigtimedwait(signals, LOOK_SECONDS)
        if again is not None and time.monotonic() - began > SAME_SECONDS:
            service.stop()
            os._exit(1)  # the front's threads would wait for their clients
    service.stop(STOP_SECONDS)
    return int(unfinished.is_set())


def main() -> int:
    """Run both; return 0 after a drain, 1 when cut short, 2 for what can't begin."""
    return front_main(lambda front: service_main(lambda settings: run(settings, front)))


if __name__ == "__main__":
    give_memory_back()
    sys.exit(main())
