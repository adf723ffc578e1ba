"""The paid call: one POST to a provider, sent once."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from requests import PreparedRequest, Request

from server.providers.base import Answer, Call
from server.upstream.addresses import Lookup, Unresolved, addresses_of
from server.upstream.attempt import Attempt, Cancelled, TimedOut
from server.upstream.documents import json_body
from server.upstream.exchange import USER_AGENT, TooLarge, Unanswered, exchange
from server.upstream.forms import form_body
from server.upstream.origins import parse_origin
from server.upstream.wire import Unsent, opened, verified_tls

__all__ = ["Cancelled", "Endpoint", "TimedOut", "TooLarge", "Unanswered", "Unsent", "send"]

MAX_ANSWER = 96 << 20
"""Bytes an answer's decoded body may have: a 50 MB picture in base64, and room."""


EVENTS = "text/event-stream, application/json"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a provider is, and our key there, which no text of this object shows.

    `base_url` is up to and including the version, such as "https://api.openai.com/v1". Raises
    ValueError if it is not an http or https URL without userinfo and query, or if `key` has
    characters that no header may hold.
    """

    name: str
    base_url: str
    key: str = field(repr=False)

    def __post_init__(self) -> None:
        base_url = self.base_url.rstrip("/")
        object.__setattr__(self, "base_url", base_url)
        scheme, _, rest = base_url.partition("://")
        authority, _, path = rest.partition("/")
        try:
            parse_origin(f"{scheme}://{authority}")
        except ValueError as error:
            raise ValueError(f"the base URL of {self.name}: {error}, then a path") from None
        if not path.isascii() or not path.isprintable() or set(path) & set(" ?#\\"):
            raise ValueError(f"the base URL of {self.name} ends with a plain path")
        if not self.key or not all("!" <= character <= "~" for character in self.key):
            raise ValueError(f"the key of {self.name} is visible ASCII without spaces")


def send(
    call: Call,
    endpoint: Endpoint,
    attempt: Attempt,
    *,
    on_partial: Callable[[bytes], None] | None = None,
    resolve: Lookup = socket.getaddrinfo,
    tls: ssl.SSLContext | None = None,
) -> Answer:
    """POST `call` to `endpoint` over a connection of its own, and return the whole answer.

    Any status is an answer, redirects too. With `on_partial`, which gets the files of partial
    pictures, the answer may come as events: its body is the last one's data. `resolve` and `tls`
    replace the name service and the verification settings. Raises

    * Unsent: no byte of the request was written, so it is surely unbilled;
    * Unanswered: the connection was cut, or the answer is unreadable or over `MAX_ANSWER` bytes;
      whether it is billed is unknown;
    * TimedOut, Cancelled: the attempt ended; their `sent` tells the two cases apart;
    * whatever `attempt.on_send` raises: nothing was written.

    Texts of these never hold the key, the query or a body.
    """
    request = _prepared(call, endpoint, "application/json" if on_partial is None else EVENTS)
    url = urlsplit(request.url or "")
    host = url.hostname or ""
    secure = url.scheme == "https"
    try:
        addresses = addresses_of(host, url.port or (443 if secure else 80), attempt, resolve)
    except Unresolved as error:
        raise Unsent(str(error)) from None
    settings = (tls or verified_tls()) if secure else None
    with opened(host, addresses, attempt, tls=settings) as wire:
        attempt.begin_sending()
        return exchange(request, wire, attempt, limit=MAX_ANSWER, on_partial=on_partial)


def _prepared(call: Call, endpoint: Endpoint, accept: str) -> PreparedRequest:
    """Return the request, whose body is read from the pictures' files as it is sent."""
    if call.json is not None:
        body, content_type = json_body(call.json), "application/json"
    else:
        body, content_type = form_body(call.parts)
    headers = {
        "Authorization": f"Bearer {endpoint.key}",
        "Accept": accept,
        "Accept-Encoding": "identity",
        "Content-Type": content_type,
        "User-Agent": USER_AGENT,
    }
    url = f"{endpoint.base_url}/{call.path.lstrip('/')}"
    request = Request("POST", url, headers=headers).prepare()
    request.headers["Content-Length"] = str(len(body))
    # urllib3 sends anything that gives bytes; with a length given, not in chunks.
    request.body = body  # type: ignore[assignment]
    return request
