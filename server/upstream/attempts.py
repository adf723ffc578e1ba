"""One attempt at one route: sent, read, fetched, and told in the contract's words.

The table of what each failure means for the caller and the next route stands here alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from server.catalog import ProviderFacts, Route
from server.domain import EditError, Situation, Tokens
from server.providers.base import (
    Delivery,
    Failure,
    FailureKind,
    Provider,
    RemoteImage,
    UpstreamEdit,
)
from server.upstream.attempt import Attempt
from server.upstream.download import BadOrigin, DownloadFailed, download
from server.upstream.session import Cancelled, Endpoint, TimedOut, Unanswered, Unsent, send
from server.upstream.watchdog import Watchdog

BUSY_RETRY_AFTER = 10.0
# Left of the caller's time for finishing the picture and for the way back, in seconds.
MARGIN = 1.0


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """What the log tells of an attempt; `detail` may quote the vendor, `seconds` is wall clock."""

    provider: str
    model: str
    outcome: str
    detail: str
    seconds: float


class Caller(Protocol):
    """Who waits for an edit."""

    def remaining(self) -> float | None:
        """Return the seconds until the caller's deadline, `None` without one."""

    def on_leave(self, callback: Callable[[], None]) -> None:
        """Have `callback` called when the caller cancels or its deadline passes."""

    def accepted(self, model: str) -> None:
        """Hear that the edit passed every check."""

    def attempted(self, record: AttemptRecord) -> None:
        """Hear of an attempt that ended."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """A picture's file as the upstream made it, unchecked, and what it reports."""

    file: bytes
    tokens: Tokens
    quality: str | None


class AttemptFailed(Exception):
    """An attempt gave no picture.

    `final`: no other route may be tried (it could be paid twice, or cannot help). `gone`: the
    vendor does not offer the model any more.
    """

    def __init__(self, error: EditError, *, final: bool, gone: bool = False) -> None:
        super().__init__(error.message)
        self.error = error
        self.final = final
        self.gone = gone


class Attempts:
    """The way to the upstreams: endpoints with their keys, providers, time."""

    def __init__(
        self,
        providers: Mapping[str, Provider],
        endpoints: Mapping[str, Endpoint],
        facts: Mapping[str, ProviderFacts],
        *,
        timeout: float,
        download_origins: tuple[str, ...],
        watchdog: Watchdog,
    ) -> None:
        self._providers = providers
        self._endpoints = endpoints
        self._facts = facts
        self._timeout = timeout
        self._download_origins = download_origins
        self._watchdog = watchdog

    def fetch(self, route: Route, edit: UpstreamEdit, caller: Caller) -> Delivered:
        """Try `route` once, within the attempt's time and the caller's; raises `AttemptFailed`."""
        started = time.monotonic()
        remaining = caller.remaining()
        timeout = self._timeout if remaining is None else min(self._timeout, remaining - MARGIN)
        outcome, detail = "delivered", ""
        try:
            with Attempt(max(timeout, 0.0), self._watchdog) as attempt:
                caller.on_leave(attempt.cancel)
                return self._deliver(route, edit, attempt)
        except AttemptFailed as failure:
            outcome, detail = failure.error.situation.value, str(failure.__cause__ or "")
            raise
        finally:
            seconds = time.monotonic() - started
            caller.attempted(AttemptRecord(route.provider, route.model, outcome, detail, seconds))

    def _deliver(self, route: Route, edit: UpstreamEdit, attempt: Attempt) -> Delivered:
        provider = self._providers[route.provider]
        facts = self._facts[route.provider]
        try:
            answer = send(provider.build(edit), self._endpoints[route.provider], attempt)
            read = provider.read if 200 <= answer.status < 300 else provider.explain
            reading = read(answer)
            if isinstance(reading, Failure):
                raise _explained(reading, free=facts.failures_are_free)
            return Delivered(self._file(reading, facts, attempt), reading.tokens, reading.quality)
        except Unsent as error:
            raise AttemptFailed(_busy(BUSY_RETRY_AFTER), final=False) from error
        except Unanswered as error:
            raise AttemptFailed(_failed(), final=not facts.failures_are_free) from error
        except (BadOrigin, DownloadFailed) as error:
            raise AttemptFailed(_failed(), final=True) from error
        except TimedOut as error:
            raise AttemptFailed(_timed_out(), final=error.sent) from error
        except Cancelled as error:
            raise AttemptFailed(_cancelled(), final=True) from error

    def _file(self, delivery: Delivery, facts: ProviderFacts, attempt: Attempt) -> bytes:
        if not isinstance(delivery.picture, RemoteImage):
            return delivery.picture
        return download(
            delivery.picture.url,
            attempt,
            allowed_hosts=facts.download_hosts,
            extra_origins=self._download_origins,
        )


class _VendorFailure(Exception):
    """Carries a vendor's own words to the log."""


def _explained(failure: Failure, *, free: bool) -> AttemptFailed:
    """Return what a vendor's answer means. `free`: the vendor bills no failure at all."""
    match failure.kind:
        case FailureKind.REFUSED:
            failed = AttemptFailed(_refused(failure), final=True)
        case FailureKind.BUSY:
            failed = AttemptFailed(_busy(failure.retry_after or BUSY_RETRY_AFTER), final=False)
        case FailureKind.MODEL_GONE:
            failed = AttemptFailed(_gone(), final=False, gone=True)
        case FailureKind.MISCONFIGURED:
            failed = AttemptFailed(_misconfigured(), final=False)
        case FailureKind.FAILED:
            failed = AttemptFailed(_failed(), final=False)
        case FailureKind.UNKNOWN:
            failed = AttemptFailed(_failed(), final=not free)
    failed.__cause__ = _VendorFailure(f"{failure.kind.value}: {failure.detail}")
    return failed


def _refused(failure: Failure) -> EditError:
    if failure.moderation:
        message = (
            "The model's moderation refused this prompt or picture. Change it before trying again."
        )
    else:
        what = f'"{failure.field}"' if failure.field else "the prompt, a picture or a parameter"
        message = f"The model refused {what} as it is. Change it before trying again."
    return EditError(Situation.BAD_REQUEST, message, field=failure.field)


def _busy(retry_after: float) -> EditError:
    return EditError(
        Situation.UPSTREAM_BUSY,
        "No upstream can take the edit now; nothing was charged. Try again in a moment.",
        retry_after=retry_after,
    )


def _gone() -> EditError:
    return EditError(
        Situation.UPSTREAM_FAILED,
        "The upstream does not offer this model any more; nothing was charged. Choose another.",
        field="model",
    )


def _misconfigured() -> EditError:
    return EditError(
        Situation.UPSTREAM_FAILED,
        "The upstream refused this gateway's own account; nothing was charged. Its operator must"
        " look into it.",
    )


def _failed() -> EditError:
    return EditError(
        Situation.UPSTREAM_FAILED, "The upstream failed to deliver a picture; nothing was charged."
    )


def _timed_out() -> EditError:
    return EditError(
        Situation.UPSTREAM_TIMEOUT,
        "The upstream used up the time of an attempt; nothing was charged.",
    )


def _cancelled() -> EditError:
    return EditError(Situation.CANCELLED, "The caller left before the edit was done.")
