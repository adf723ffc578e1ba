"""The result's picture, fetched from a URL that an upstream chose and that is therefore hostile."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Collection
from functools import partial

from requests import Request, RequestException

from server.upstream.addresses import Lookup, Unresolved, addresses_of, is_public
from server.upstream.attempt import Attempt, Cancelled, TimedOut
from server.upstream.exchange import USER_AGENT, TooLarge, Unanswered, exchange
from server.upstream.origins import BadOrigin, Target, permit
from server.upstream.wire import Connect, Unsent, opened, verified_tls

__all__ = ["BadOrigin", "Cancelled", "DownloadFailed", "TimedOut", "download"]

MAX_PICTURE = 64 << 20
_TRIES = 3
# Signed URLs are handed out a moment before every edge of the storage knows the object.
_HEALING = frozenset({403, 404, 408, 425, 429})


class DownloadFailed(Exception):
    """The picture could not be fetched. `may_heal`: another try might have helped."""

    def __init__(self, message: str, *, may_heal: bool) -> None:
        super().__init__(message)
        self.may_heal = may_heal


def download(
    url: str,
    attempt: Attempt,
    *,
    allowed_hosts: Collection[str],
    extra_origins: Collection[str],
    max_bytes: int = MAX_PICTURE,
    resolve: Lookup = socket.getaddrinfo,
    connect: Connect = socket.socket.connect,
    tls: ssl.SSLContext | None = None,
    pause: float = 0.5,
) -> bytes:
    """Return the body behind `url`, at most `max_bytes` of it, inside the attempt's time.

    `allowed_hosts` and `extra_origins` are as `origins.permit` takes them. The host is looked up
    once a try, every address must be public, and the connection goes to one of those: a name that
    changes its address gains nothing. No key, cookie or redirect. The edit is paid already, so
    what may heal is tried three times, `pause` seconds apart. `resolve`, `connect` and `tls`
    replace the name service, the connecting and the verification. Raises BadOrigin before any
    connection, DownloadFailed, TimedOut and Cancelled; texts hold scheme and host only.
    """
    target = permit(url, allowed_hosts=allowed_hosts, extra_origins=extra_origins)
    fetch = partial(
        _fetch, target, attempt, limit=max_bytes, lookup=resolve, connect=connect, tls=tls
    )
    for _ in range(_TRIES - 1):
        try:
            return fetch()
        except DownloadFailed as failure:
            if not failure.may_heal:
                raise
        attempt.pause(pause)
    return fetch()


def _fetch(
    target: Target,
    attempt: Attempt,
    *,
    limit: int,
    lookup: Lookup,
    connect: Connect,
    tls: ssl.SSLContext | None,
) -> bytes:
    origin = target.origin
    host = origin.host.strip("[]")
    headers = {"Accept": "image/*", "Accept-Encoding": "identity", "User-Agent": USER_AGENT}
    try:
        request = Request("GET", target.url, headers=headers).prepare()
    except RequestException:
        raise BadOrigin(f"{origin} is not a host that can be asked") from None
    try:
        addresses = addresses_of(host, origin.port, attempt, lookup)
        if target.public_only and not all(is_public(found.sockaddr[0]) for found in addresses):
            raise BadOrigin(f"{origin} has an address that is not public")
        settings = (tls or verified_tls()) if origin.scheme == "https" else None
        with opened(host, addresses, attempt, tls=settings, connect=connect) as wire:
            answer = exchange(request, wire, attempt, limit=limit)
    except TooLarge:
        raise DownloadFailed(f"{origin}: over {limit} bytes", may_heal=False) from None
    except (Unresolved, Unsent, Unanswered) as failure:
        raise DownloadFailed(f"{origin}: {failure}", may_heal=True) from None
    if answer.status != 200:
        may_heal = answer.status >= 500 or answer.status in _HEALING
        raise DownloadFailed(f"{origin}: status {answer.status}", may_heal=may_heal)
    return answer.body
