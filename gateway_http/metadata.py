"""Which headers cross between HTTP and gRPC: two allow-lists, nothing else passes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Protocol

from gateway_http.tracing import spans

INBOUND = ("authorization", "idempotency-key", "x-stainless-retry-count")
"""Request headers that become metadata, beside our own x-request-id and the trace's context."""

OUTBOUND = {
    "x-ratelimit-limit": "X-RateLimit-Limit",
    "x-ratelimit-remaining": "X-RateLimit-Remaining",
    "idempotent-replayed": "idempotent-replayed",
}
"""Response metadata that become headers."""

# gRPC carries printable ASCII alone; anything else fails the call as INTERNAL, and all the
# metadata together must stay under 8 KiB. An empty value is an absent one.
_CARRIED = re.compile(r"[\x20-\x7e]{1,2048}")

Metadata = tuple[tuple[str, str], ...]


class Headers(Protocol):
    """A request's headers, whatever the case of their names."""

    def get(self, key: str, default: str, /) -> str:
        """Return a header's value."""


def can_carry(value: str) -> bool:
    """Tell whether gRPC metadata can hold the header's `value`."""
    return _CARRIED.fullmatch(value) is not None


def to_call(headers: Headers, request_id: str) -> Metadata:
    """Return the metadata for a call made for a request with these `headers`.

    A value that cannot be carried is left out: a key like that is no key.
    """
    passed = tuple(
        (name, value) for name in INBOUND if can_carry(value := headers.get(name, "").strip())
    )
    return (("x-request-id", request_id), *passed, *spans.carried())


def has_key(call: Metadata) -> bool:
    """Tell whether the metadata hold a key, right or wrong."""
    return any(name == "authorization" for name, _ in call)


def to_headers(*received: Iterable[tuple[str, str | bytes]] | None) -> dict[str, str]:
    """Return the response headers for the metadata that a call brought back."""
    return {
        OUTBOUND[name]: value
        for metadata in received
        for name, value in metadata or ()
        if name in OUTBOUND and isinstance(value, str) and can_carry(value)
    }
