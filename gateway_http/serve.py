"""The program: starts the front, and ends it when told to."""

from __future__ import annotations

import os
import signal
import sys
from threading import Thread

from gateway_http.channel import Service
from gateway_http.front import Front
from gateway_http.journal import Journal
from gateway_http.settings import Settings


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
    front = Front(settings, Service(settings), journal)
    front.start()
    received = signal.sigwait(signals)
    Thread(target=_stop_on, args=(signals, journal), name="second signal", daemon=True).start()
    finished = front.drain(signal.Signals(received).name)
    front.stop(finished=finished)
    return 0 if finished else 1


def _wanted_signals() -> set[signal.Signals]:
    wanted = {signal.SIGTERM, signal.SIGINT}
    # A shell without job control starts background programs with SIGINT ignored: it stays so.
    return {one for one in wanted if signal.getsignal(one) is not signal.SIG_IGN}


def _stop_on(signals: set[signal.Signals], journal: Journal) -> None:
    received = signal.sigwait(signals)
    journal.write("stopped", signal=signal.Signals(received).name, finished=False)
    os._exit(1)
