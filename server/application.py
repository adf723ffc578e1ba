"""The composition root: everything that answers calls, built from the settings, without a port."""

from __future__ import annotations

import time
import uuid

import grpc

from server.accounts.desk import Desk
from server.accounts.limits import Limits
from server.accounts.store import open_store
from server.admission import Admission
from server.background import Background
from server.counted_editor import CountedEditor
from server.detached import Carried
from server.held_money import HeldMoney
from server.interceptors import CallInterceptor
from server.lone_message import LoneMessageInterceptor
from server.metrics import Metrics
from server.metrics_state import State
from server.operations import OperationsServicer
from server.patience import Patience
from server.servicer import PROGRESS_SECONDS
from server.settings import Settings
from server.upstream.watchdog import Watchdog
from server.usage_reports import UsageReports
from server.vendors import attempts_by, load_catalog

CALL_MARGIN = 60.0  # seconds beside an attempt: checks, download, re-encoding, a second route
DRAIN_MARGIN = 10.0
CUT_SECONDS = 5.0
LAST_BYTES = 30.0  # seconds for callers that read slowly
NANOSECONDS = 1_000_000  # of a millisecond


def _now() -> int:
    """Return Unix milliseconds."""
    return time.time_ns() // NANOSECONDS


def _steady() -> int:
    return time.monotonic_ns() // NANOSECONDS


def _new_id() -> str:
    return str(uuid.uuid4())


class Application:
    """`servicer` answers the calls, whatever brings them; `interceptors` go around it, in order.

    `on_wire` are the interceptors for calls that come over a network.

    `progress_seconds` is how long a streaming caller may hear nothing. Raises `CatalogError`
    and `SchemaError` (no database).
    """

    def __init__(
        self,
        settings: Settings,
        patience: Patience | None = None,
        *,
        progress_seconds: float = PROGRESS_SECONDS,
    ) -> None:
        self._attempt_timeout = settings.attempt_timeout
        self.patience = patience or Patience(call=settings.attempt_timeout + CALL_MARGIN)
        self._watchdog = Watchdog()
        self.admission = Admission(settings.max_edits, settings.max_bytes)
        self._store = open_store(settings.database_url)
        self._limits = Limits(
            _steady, redis_url=settings.redis_url, user_rate_limit=settings.user_rate_limit
        )
        owner = _new_id()
        self.desk = Desk.open(
            self._store,
            self._limits,
            owner=owner,
            clock=_now,
            new_id=_new_id,
            results_bytes=settings.results_bytes,
        )
        carried = Carried(self.desk.operations)
        self._background = Background(
            self._store,
            self.desk,
            carried,
            owner=owner,
            attempt_timeout=settings.attempt_timeout,
            clock=_now,
            new_id=_new_id,
        )
        catalog = load_catalog(settings)
        self.attempts = attempts_by(settings, catalog, self._watchdog)
        self.metrics = Metrics(catalog.aliases)
        self.metrics.registry.register(
            State(
                self.admission,
                self._store.tally,
                HeldMoney(self._store),
                self._limits,
                self.attempts.states,
            )
        )
        editor = CountedEditor(
            self.metrics,
            catalog,
            self.attempts,
            self.admission,
            self.desk,
            clock=_now,
            max_pixels=settings.max_pixels,
        )
        self.servicer = OperationsServicer(
            carried,
            editor,
            catalog,
            self.desk,
            self.admission,
            UsageReports(self._store, _now),
            patience=self.patience,
            progress_seconds=progress_seconds,
        )
        self.interceptors: list[grpc.ServerInterceptor] = [
            CallInterceptor(self.desk, self.admission, self.metrics, _new_id)
        ]
        # Whose messages come over a network may leave them out.
        lone_message = LoneMessageInterceptor(self._watchdog, self.patience.chunk)
        self.on_wire: list[grpc.ServerInterceptor] = [lone_message, *self.interceptors]

    def start(self) -> None:
        """Be ready for calls; raises `EditError` when the database can't be used."""
        self._background.start()

    def drain(self) -> None:
        """Refuse new edits and let the held ones end; blocks until that is done."""
        self.admission.drain(self._attempt_timeout + DRAIN_MARGIN, LAST_BYTES)

    def close(self) -> None:
        """Cut the edits that are left, and resolve their money; for when no calls come any more."""
        # Sent edits outlive their callers, so the upstream calls themselves must be ended.
        self.attempts.cut()
        self.admission.drain(CUT_SECONDS)
        self._watchdog.close()
        self._background.close()
        self._limits.close()
        self._store.close()
