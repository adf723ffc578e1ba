"""The program: listens, tells its health, and drains when told to."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from typing import Any

from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from imageedit.v1 import image_edit_pb2, image_edit_pb2_grpc
from server.application import Application
from server.grpc_server import grpc_server, listen
from server.metrics_page import MetricsPage
from server.patience import Patience
from server.servicer import PROGRESS_SECONDS
from server.settings import Settings

logger = logging.getLogger("imageedit.service")

SERVICE = image_edit_pb2.DESCRIPTOR.services_by_name["ImageEdit"].full_name
STOP_SECONDS = 0.5  # for health watches and others that never end by themselves
LOOK_SECONDS = 0.05


class Service:
    """The running service: an `Application` behind its ports; `address` is where it listens.

    `interceptors` go around its methods where calls come by another way than the network.

    The other arguments are the application's. Raises what it raises, and OSError.
    """

    def __init__(
        self,
        settings: Settings,
        patience: Patience | None = None,
        *,
        progress_seconds: float = PROGRESS_SECONDS,
    ) -> None:
        application = Application(settings, patience, progress_seconds=progress_seconds)
        self._application = application
        self.admission, self.desk = application.admission, application.desk
        self.attempts, self.metrics = application.attempts, application.metrics
        self._server = grpc_server(settings.max_edits, application.patience, application.on_wire)
        self.interceptors = application.interceptors
        self._health = health.HealthServicer()
        self.register(self._server)
        if settings.reflection:
            names = (SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
            reflection.enable_server_reflection(names, self._server)
        self.address = listen(self._server, settings)
        self.metrics_page: MetricsPage | None = None
        if settings.metrics_address is not None:
            self.metrics_page = MetricsPage(settings.metrics_address, application.metrics.registry)

    def register(self, server: Any) -> None:
        """Add the methods to `server`, or to what takes them as a server does."""
        image_edit_pb2_grpc.add_ImageEditServicer_to_server(self._application.servicer, server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)

    def start(self) -> None:
        """Serve, and say so to health checks."""
        self._application.start()
        self._server.start()
        for name in ("", SERVICE):
            self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        page = self.metrics_page and self.metrics_page.address
        line = {"event": "listening", "address": self.address, "metrics": page}
        logger.info("listening", extra={"line": line})

    def drain(self) -> None:
        """Refuse new edits and let the held ones end; blocks until that is done."""
        logger.info("draining", extra={"line": {"event": "draining", "held": self.admission.held}})
        self._health.enter_graceful_shutdown()
        self._application.drain()

    def stop(self, grace: float | None = None) -> None:
        """Stop within `grace` seconds; what is left is cut, and its money resolved."""
        self._health.enter_graceful_shutdown()
        self._server.stop(grace).wait()
        self._application.close()
        if self.metrics_page:
            self.metrics_page.close()


def run(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT, then drain; return the exit code.

    A second signal cuts the held edits, whose upstream calls end with them, and stops.
    """
    # Waited for instead of handled: no code then runs in the middle of another's lock. Threads
    # inherit the mask, so this comes before any is started.
    signals = wanted_signals()
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    service = Service(settings)
    service.start()
    sys.stdout.write(f"listening on {service.address}\n")
    sys.stdout.flush()
    signal.sigwait(signals)
    drain = threading.Thread(target=service.drain, name="drain", daemon=True)
    drain.start()
    while drain.is_alive():
        if signal.sigtimedwait(signals, LOOK_SECONDS) is not None:
            service.stop()
            return 1
    service.stop(STOP_SECONDS)
    return 0


def wanted_signals() -> set[signal.Signals]:
    """Return the signals that end a program."""
    # Under a supervisor that passes signals on itself, Ctrl-C is ignored from the start.
    wanted = {signal.SIGTERM, signal.SIGINT}
    return {one for one in wanted if signal.getsignal(one) is not signal.SIG_IGN}
