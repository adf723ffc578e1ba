"""One attempt at one route: sent, read, fetched, and told in the contract's words.

The table of what each failure means for the caller and the next route stands here alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from server.catalog import ProviderFacts, Route
from server.domain import EditError, Picture, Situation, Tokens
from server.providers.base import (
    Delivery,
    Failure,
    FailureKind,
    Provider,
    RemoteImage,
    UpstreamEdit,
)
from server.tracing import spans
from server.upstream.attempt import Attempt
from server.upstream.discretion import without_quotes
from server.upstream.download import BadOrigin, DownloadFailed, download
from server.upstream.session import (
    Cancelled,
    Endpoint,
    TimedOut,
    TooLarge,
    Unanswered,
    Unsent,
    send,
)
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

    def left(self) -> bool:
        """Tell whether the caller cancelled, or its deadline passed."""

    def on_leave(self, callback: Callable[[], None]) -> None:
        """Have `callback` called when the caller cancels or its deadline passes."""

    def accepted(self, model: str) -> None:
        """Hear that the edit passed every check."""

    def attempted(self, record: AttemptRecord) -> None:
        """Hear of an attempt that ended."""

    def partial(self, index: int, picture: Picture, *, transparent: bool) -> None:
        """Get a picture on its way to the result, the first one with `index` 0."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """A picture's file as the upstream made it, unchecked, and what it reports."""

    file: bytes
    tokens: Tokens
    quality: str | None


class AttemptFailed(Exception):
    """An attempt gave no picture.

    `billable`: the vendor may bill it, so no other route may be tried. `final`: no other route can
    help, or may be tried. `gone`: the vendor does not offer the model any more.
    """

    def __init__(
        self, error: EditError, *, final: bool, billable: bool = False, gone: bool = False
    ) -> None:
        super().__init__(error.message)
        self.error = error
        self.final = final or billable
        self.billable = billable
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
        self._live: set[Attempt] = set()

    def cut(self) -> None:
        """End every attempt that is under way, sent or not."""
        for attempt in list(self._live):
            attempt.cancel()

    @spans.traced("attempt")
    def fetch(
        self,
        route: Route,
        edit: UpstreamEdit,
        caller: Caller,
        on_send: Callable[[], None],
        on_partial: Callable[[bytes], None],
    ) -> Delivered:
        """Try `route` once, within the attempt's time and the caller's; raises `AttemptFailed`.

        `on_send` is called just before the first byte leaves; what it raises ends the attempt with
        nothing sent. A caller that leaves before that ends the attempt; one that leaves later does
        not, because the vendor bills it all the same and the answer is kept for the retry.
        `on_partial` gets the files of partial pictures, as they came, where the edit wants some.
        """
        started = time.monotonic()
        remaining = caller.remaining()
        timeout = self._timeout if remaining is None else min(self._timeout, remaining - MARGIN)
        outcome, detail = "delivered", ""
        try:
            with Attempt(max(timeout, 0.0), self._watchdog, on_send=on_send) as attempt:
                self._live.add(attempt)
                caller.on_leave(attempt.withdraw)
                try:
                    return self._deliver(route, edit, attempt, on_partial)
                finally:
                    self._live.discard(attempt)
        except AttemptFailed as failure:
            outcome = failure.error.situation.value
            detail = without_quotes(str(failure.__cause__ or ""), edit.prompt)
            raise
        finally:
            seconds = time.monotonic() - started
            caller.attempted(AttemptRecord(route.provider, route.model, outcome, detail, seconds))

    def _deliver(
        self,
        route: Route,
        edit: UpstreamEdit,
        attempt: Attempt,
        on_partial: Callable[[bytes], None],
    ) -> Delivered:
        provider = self._providers[route.provider]
        facts = self._facts[route.provider]
        begun = False

        def begin(partial_picture: bytes) -> None:
            nonlocal begun
            begun = True
            on_partial(partial_picture)

        try:
            answer = send(
                provider.build(edit),
                self._endpoints[route.provider],
                attempt,
                on_partial=begin if edit.partial_images else None,
            )
            succeeded = 200 <= answer.status < 300
            reading = provider.read(answer) if succeeded else provider.explain(answer)
            if isinstance(reading, Failure):
                free = facts.failures_are_free
                failed = _explained(reading, free=free, unread=not succeeded)
                raise _begun(failed) if begun and not free else failed
            return Delivered(self._file(reading, facts, attempt), reading.tokens, reading.quality)
        except Unsent as error:
            raise AttemptFailed(_busy(BUSY_RETRY_AFTER), final=False) from error
        except TooLarge as error:
            raise AttemptFailed(_failed(), final=True, billable=True) from error
        except Unanswered as error:
            raise AttemptFailed(
                _failed(), final=False, billable=not facts.failures_are_free
            ) from error
        except (BadOrigin, DownloadFailed) as error:
            raise AttemptFailed(_failed(), final=True, billable=True) from error
        except TimedOut as error:
            free = facts.failures_are_free or not error.sent
            raise AttemptFailed(_timed_out(), final=error.sent, billable=not free) from error
        except Cancelled as error:
            free = facts.failures_are_free or not error.sent
            raise AttemptFailed(_cancelled(), final=True, billable=not free) from error

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


def _explained(failure: Failure, *, free: bool, unread: bool) -> AttemptFailed:
    """Return what a vendor's answer means.

    `free`: the vendor bills no failure at all; `unread`: the answer was no success that can't be
    read, which is billed all the same.
    """
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
            failed = AttemptFailed(_failed(), final=False, billable=not (free and unread))
    failed.__cause__ = _VendorFailure(f"{failure.kind.value}: {failure.detail}")
    return failed


def _begun(failed: AttemptFailed) -> AttemptFailed:
    """Return what a failure means of a vendor that has shown partial pictures: it may bill them."""
    error = failed.error if failed.error.situation is Situation.BAD_REQUEST else _failed()
    known = AttemptFailed(error, final=True, billable=True)
    known.__cause__ = failed.__cause__
    return known


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
