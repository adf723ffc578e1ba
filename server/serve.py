"""The composition root: builds the service, listens, tells its health, and drains."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from imageedit.v1 import image_edit_pb2, image_edit_pb2_grpc
from server import catalog_file
from server.accounts.desk import Desk
from server.accounts.housekeeping import Housekeeping
from server.accounts.instances import Heart
from server.accounts.limits import Limits
from server.accounts.store import open_store
from server.admission import Admission
from server.catalog import Catalog
from server.counted_editor import CountedEditor
from server.detached import Carried
from server.held_money import HeldMoney
from server.interceptors import CallInterceptor
from server.lone_message import LoneMessageInterceptor
from server.metrics import Metrics
from server.metrics_page import MetricsPage
from server.metrics_state import State
from server.operations import OperationsServicer
from server.patience import Patience
from server.providers.registry import PROVIDERS
from server.servicer import PROGRESS_SECONDS
from server.settings import Settings
from server.tls import Certificate
from server.upstream.attempts import Attempts
from server.upstream.delivery import Vendor
from server.upstream.session import Endpoint
from server.upstream.watchdog import Watchdog
from server.usage_reports import UsageReports

logger = logging.getLogger("imageedit.service")

SERVICE = image_edit_pb2.DESCRIPTOR.services_by_name["ImageEdit"].full_name
SPARE_THREADS = 64  # for health checks, lists and refusals while every place is taken
MAX_UNARY_BYTES = 16 * 1_048_576
CALL_MARGIN = 60.0  # seconds beside an attempt: checks, download, re-encoding, a second route
DRAIN_MARGIN = 10.0
STOP_SECONDS = 0.5  # for health watches and others that never end by themselves
LOOK_SECONDS = 0.05
CUT_SECONDS = 5.0
LAST_BYTES = 30.0  # seconds for callers that read slowly
LONGEST_EDIT_MS = 900_000
MIN_PING_MS = 10_000  # how often a client may ask whether we live
NANOSECONDS = 1_000_000  # of a millisecond


def _now() -> int:
    """Return Unix milliseconds."""
    return time.time_ns() // NANOSECONDS


def _new_id() -> str:
    return str(uuid.uuid4())


class Service:
    """The running service; `address` is where it really listens.

    `progress_seconds` is how long a streaming caller may hear nothing.
    """

    def __init__(
        self,
        settings: Settings,
        patience: Patience | None = None,
        *,
        progress_seconds: float = PROGRESS_SECONDS,
    ) -> None:
        self._settings = settings
        patience = patience or Patience(call=settings.attempt_timeout + CALL_MARGIN)
        self._watchdog = Watchdog()
        self.admission = Admission(settings.max_edits, settings.max_bytes)
        self._store = open_store(settings.database_url)
        self._limits = Limits(
            lambda: time.monotonic_ns() // NANOSECONDS,
            redis_url=settings.redis_url,
            user_rate_limit=settings.user_rate_limit,
        )
        owner = _new_id()
        self.desk = desk = Desk.open(
            self._store,
            self._limits,
            owner=owner,
            clock=_now,
            new_id=_new_id,
            results_bytes=settings.results_bytes,
        )
        carried = Carried(desk.operations)

        def each_second() -> None:
            desk.ledger.finish_what_is_left()
            carried.end_cancelled()

        longest_edit = max(LONGEST_EDIT_MS, 3 * round(settings.attempt_timeout * 1000))
        self._heart = Heart(
            self._store,
            owner=owner,
            clock=_now,
            new_id=_new_id,
            hold_ttl_ms=longest_edit,
            finish=each_second,
        )
        self._housekeeping = Housekeeping(desk.results, _now)
        catalog = catalog_file.load(settings.catalog, PROVIDERS, settings.provider_keys)
        self.attempts = Attempts(
            _vendors(settings, catalog),
            [route for model in catalog.models for route in catalog.routes(model)],
            timeout=settings.attempt_timeout,
            download_origins=settings.download_origins,
            watchdog=self._watchdog,
            faults=settings.breaker_faults,
            cancel_unbilled=settings.cancel == "unbilled",
        )
        metrics = self.metrics = Metrics(catalog.aliases)
        held = HeldMoney(self._store)
        routes = self.attempts.states
        metrics.registry.register(
            State(self.admission, self._store.tally, held, self._limits, routes)
        )
        editor = CountedEditor(
            metrics,
            catalog,
            self.attempts,
            self.admission,
            desk,
            clock=_now,
            max_pixels=settings.max_pixels,
        )
        self._server = grpc.server(
            # As many uploads as edits may be here, and as many calls that wait for edits, so
            # whatever they do, some threads are left.
            ThreadPoolExecutor(3 * settings.max_edits + SPARE_THREADS, thread_name_prefix="rpc"),
            interceptors=[
                LoneMessageInterceptor(self._watchdog, patience.chunk),
                CallInterceptor(desk, self.admission, metrics, _new_id),
            ],
            options=[
                ("grpc.max_receive_message_length", MAX_UNARY_BYTES),
                ("grpc.max_send_message_length", -1),
                ("grpc.tcp_read_chunk_size", 1_048_576),
                ("grpc.so_reuseport", 0),
                # What a stream may send ahead lies in memory; measured, it was 15 MB each.
                ("grpc.http2.bdp_probe", 0),
                ("grpc.http2.lookahead_bytes", 1_048_576),
                *_keepalive(patience),
            ],
        )
        image_edit_pb2_grpc.add_ImageEditServicer_to_server(
            OperationsServicer(
                carried,
                editor,
                catalog,
                desk,
                self.admission,
                UsageReports(self._store, _now),
                patience=patience,
                progress_seconds=progress_seconds,
            ),
            self._server,
        )
        self._health = health.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        if settings.reflection:
            names = (SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
            reflection.enable_server_reflection(names, self._server)
        self._warn_of_retired(catalog)
        self.address = self._listen()
        self.metrics_page: MetricsPage | None = None
        if settings.metrics_address is not None:
            self.metrics_page = MetricsPage(settings.metrics_address, metrics.registry)

    def _listen(self) -> str:
        settings = self._settings
        address = settings.grpc_address
        try:
            if settings.tls_cert is None or settings.tls_key is None:
                port = self._server.add_insecure_port(address)
            else:
                own = Certificate(settings.tls_cert, settings.tls_key, settings.tls_client_ca)
                port = self._server.add_secure_port(address, own.credentials())
        except RuntimeError:
            raise OSError(f"IMAGEEDIT_GRPC_ADDRESS: cannot listen on {address}") from None
        return address if address.startswith("unix:") else f"{address.rpartition(':')[0]}:{port}"

    def start(self) -> None:
        """Serve, and say so to health checks."""
        self._heart.start()
        self._housekeeping.start()
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
        self.admission.drain(self._settings.attempt_timeout + DRAIN_MARGIN, LAST_BYTES)

    def stop(self, grace: float | None = None) -> None:
        """Stop within `grace` seconds; what is left is cut, and its money resolved."""
        self._health.enter_graceful_shutdown()
        self._server.stop(grace).wait()
        # Sent edits outlive their callers, so the upstream calls themselves must be ended.
        self.attempts.cut()
        self.admission.drain(CUT_SECONDS)
        self._watchdog.close()
        self._housekeeping.close()
        self._heart.close()
        self._limits.close()
        self._store.close()
        if self.metrics_page:
            self.metrics_page.close()

    @staticmethod
    def _warn_of_retired(catalog: Catalog) -> None:
        for model in catalog.models:
            if model.expiration is not None:
                line = {"event": "model expires", "model": model.alias, "on": model.expiration}
                logger.warning("model expires", extra={"line": line})


def _vendors(settings: Settings, catalog: Catalog) -> dict[str, Vendor]:
    vendors = {}
    for name, key in settings.provider_keys.items():
        if (facts := catalog.providers.get(name)) is not None:
            endpoint = Endpoint(name, settings.base_urls.get(name, facts.base_url), key)
            vendors[name] = Vendor(PROVIDERS[name], endpoint, facts)
    return vendors


def _keepalive(patience: Patience) -> tuple[tuple[str, int], ...]:
    """Return the options that notice a peer which is gone, and let clients do the same.

    By gRPC's default a server closes the connection of a client that asks more often than every 5
    minutes while nothing is said, as happens during an edit.
    """
    ping, pong = round(patience.ping * 1000), round(patience.pong * 1000)
    return (
        ("grpc.keepalive_time_ms", ping),
        # The first bounds the wait for any byte, the second for the answer: by default a minute.
        ("grpc.keepalive_timeout_ms", pong),
        ("grpc.http2.ping_timeout_ms", pong),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.http2.min_ping_interval_without_data_ms", min(ping, MIN_PING_MS)),
    )


def run(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT, then drain; return the exit code.

    A second signal cuts the held edits, whose upstream calls end with them, and stops.
    """
    # Waited for instead of handled: no code then runs in the middle of another's lock. Threads
    # inherit the mask, so this comes before any is started.
    signals = _wanted_signals()
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


def _wanted_signals() -> set[signal.Signals]:
    # Under a supervisor that passes signals on itself, Ctrl-C is ignored from the start.
    wanted = {signal.SIGTERM, signal.SIGINT}
    return {one for one in wanted if signal.getsignal(one) is not signal.SIG_IGN}
