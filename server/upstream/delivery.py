"""One attempt at one route: sent, read, fetched, and where it fails, its fate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from server.catalog import ProviderFacts
from server.domain import Tokens
from server.providers.base import (
    Delivery,
    Failure,
    FailureKind,
    Provider,
    RemoteImage,
    UpstreamEdit,
)
from server.upstream.attempt import Attempt
from server.upstream.breaker import CircuitOpen
from server.upstream.download import BadOrigin, DownloadFailed, download
from server.upstream.fates import BY_KIND, FATES, AttemptFailed, Fate
from server.upstream.session import (
    Cancelled,
    Endpoint,
    TimedOut,
    TooLarge,
    Unanswered,
    Unsent,
    send,
)

# The first that fits.
_ENDS: tuple[tuple[type[Exception], Fate], ...] = (
    (CircuitOpen, FATES["circuit_open"]),
    (Unsent, FATES["unsent"]),
    (TooLarge, FATES["too_large"]),
    (Unanswered, FATES["cut"]),
    (BadOrigin, FATES["undelivered"]),
    (DownloadFailed, FATES["undelivered"]),
    (TimedOut, FATES["timed_out"]),
    (Cancelled, FATES["cancelled"]),
)


@dataclass(frozen=True, slots=True)
class Vendor:
    """A provider, where it is, and what its contract says."""

    provider: Provider
    endpoint: Endpoint
    facts: ProviderFacts


@dataclass(frozen=True, slots=True)
class Delivered:
    """A picture's file as the upstream made it, unchecked, and what it reports."""

    file: bytes
    tokens: Tokens
    quality: str | None


class VendorFailure(Exception):
    """Carries a vendor's own words to the log."""

    def __init__(self, said: Failure) -> None:
        super().__init__(f"{said.kind.value}: {said.detail}")
        self.said = said


def deliver(
    edit: UpstreamEdit,
    vendor: Vendor,
    attempt: Attempt,
    *,
    on_partial: Callable[[bytes], None],
    download_origins: tuple[str, ...],
) -> Delivered:
    """Return the picture that the vendor makes of `edit`; inside `judged`, which knows what else.

    `on_partial` gets the files of partial pictures, as they came, where the edit wants some.
    `download_origins` are trusted beside the vendor's own hosts.
    """
    begun = False

    def begin(file: bytes) -> None:
        nonlocal begun
        begun = True
        on_partial(file)

    call, wanted = vendor.provider.build(edit), begin if edit.partial_images else None
    answer = send(call, vendor.endpoint, attempt, on_partial=wanted)
    succeeded = 200 <= answer.status < 300
    reading = vendor.provider.read(answer) if succeeded else vendor.provider.explain(answer)
    if isinstance(reading, Failure):
        # A success that can't be read is billed all the same.
        nonsense = succeeded and reading.kind is FailureKind.UNKNOWN
        fate = FATES["nonsense"] if nonsense else BY_KIND[reading.kind]
        shown = begun and not vendor.facts.failures_are_free  # the work, so it may bill that
        if shown and reading.kind is not FailureKind.REFUSED:
            fate = FATES["cut"]  # whatever it says, nobody is invited to pay again
        billable = shown or fate.may_be_billed(vendor.facts)
        raise AttemptFailed(fate, billable=billable, said=reading) from VendorFailure(reading)
    attempt.keep()
    return Delivered(
        _file(reading, vendor, attempt, download_origins), reading.tokens, reading.quality
    )


@contextmanager
def judged(attempt: Attempt, facts: ProviderFacts, *, late: str) -> Iterator[None]:
    """Raise `AttemptFailed` for whatever ends the block; `late` names the fate of a time-out."""
    try:
        yield
    except tuple(kind for kind, _ in _ENDS) as error:
        fate = next(fate for kind, fate in _ENDS if isinstance(error, kind))
        if isinstance(error, TimedOut):
            fate = FATES[late]
        billable = attempt.sent and (attempt.kept or fate.may_be_billed(facts))
        said = None
        if isinstance(error, CircuitOpen):
            said = Failure(FailureKind.BUSY, str(error), retry_after=error.retry_after)
        raise AttemptFailed(fate, billable=billable, said=said) from error


def _file(
    delivery: Delivery, vendor: Vendor, attempt: Attempt, download_origins: tuple[str, ...]
) -> bytes:
    if not isinstance(delivery.picture, RemoteImage):
        return delivery.picture
    return download(
        delivery.picture.url,
        attempt,
        allowed_hosts=vendor.facts.download_hosts,
        extra_origins=download_origins,
    )
