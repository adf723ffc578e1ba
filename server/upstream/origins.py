"""Which URLs a result may be fetched from. The URL comes from an upstream and is hostile."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import IPv6Address

# A subset of RFC 3986 that every parser reads alike: no userinfo, no backslash, no spaces, ASCII.
_URL = re.compile(
    r"""
    (?P<scheme> [A-Za-z][A-Za-z0-9+.-]* ) ://
    (?P<host> [A-Za-z0-9._-]+ | \[ [0-9A-Fa-f:.]+ \] )
    (?: : (?P<port> [0-9]{1,5} ) )?
    (?P<path> [/?] [!-"$-\[\]-~]* )?
    (?: \# [!-\[\]-~]* )?
    """,
    re.VERBOSE,
)
_MAX_URL = 8192
_DEFAULT_PORTS = {"http": 80, "https": 443}
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")


class BadOrigin(ValueError):
    """The URL may not be fetched. The message names scheme and host at most."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port. `host` is in lower case; an IPv6 address stands in brackets."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        standard = self.port == _DEFAULT_PORTS[self.scheme]
        return f"{self.scheme}://{self.host}" + ("" if standard else f":{self.port}")


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that may be fetched: `url` is rebuilt from its checked pieces.

    `public_only`: every address of the host must be public.
    """

    origin: Origin
    url: str
    public_only: bool


def parse_origin(text: str) -> Origin:
    """Return the origin that `text` such as "http://127.0.0.1:9000" names.

    Raises ValueError, whose message has no part of `text`, for anything else: another scheme, a
    path, userinfo.
    """
    match = _URL.fullmatch(text)
    origin = _origin_of(match) if match and not match["path"] and "#" not in text else None
    if origin is None:
        raise ValueError("an origin is scheme://host or scheme://host:port, http or https")
    return origin


def permit(url: str, *, allowed_hosts: Collection[str], extra_origins: Collection[str]) -> Target:
    """Return where to fetch `url` from.

    `allowed_hosts` are names, or ".suffix" for every name below it: over https, port 443 only.
    `extra_origins` are origins (`parse_origin`) that are trusted as they are. Raises BadOrigin.
    """
    match = _URL.fullmatch(url) if len(url) <= _MAX_URL else None
    if match is None:
        raise BadOrigin("not a plain http or https URL")
    origin = _origin_of(match)
    if origin is None:
        raise BadOrigin("not an http or https URL of a valid host and port")
    path = match["path"] or "/"
    whole = f"{origin}{path if path.startswith('/') else '/' + path}"
    if origin in {parse_origin(extra) for extra in extra_origins}:
        return Target(origin, whole, public_only=False)
    if origin.scheme != "https" or origin.port != 443:
        raise BadOrigin(f"{origin} is not https on port 443")
    if _is_address(origin.host):
        raise BadOrigin(f"{origin} is a bare address")
    if not any(_covers(entry, origin.host) for entry in allowed_hosts):
        raise BadOrigin(f"{origin} is not a host from which results are fetched")
    return Target(origin, whole, public_only=True)


def _origin_of(match: re.Match[str]) -> Origin | None:
    scheme = match["scheme"].lower()
    if scheme not in _DEFAULT_PORTS:
        return None
    port = int(match["port"] or _DEFAULT_PORTS[scheme])
    host = _canonical(match["host"])
    return Origin(scheme, host, port) if host and 0 < port < 65536 else None


def _canonical(host: str) -> str:
    """Return the host in lower case without the root's dot; "" for an impossible one."""
    if host.startswith("["):
        try:
            return f"[{IPv6Address(host[1:-1])}]"
        except ValueError:
            return ""
    host = host.lower().removesuffix(".")
    labels = host.split(".")
    return host if len(host) <= 253 and all(0 < len(label) < 64 for label in labels) else ""


def _is_address(host: str) -> bool:
    # A last label that is a number makes resolvers read the name as IPv4, in octal and hex too.
    return host.startswith("[") or _NUMBER.fullmatch(host.rpartition(".")[2]) is not None


def _covers(entry: str, host: str) -> bool:
    entry = entry.lower().removesuffix(".")
    if entry.startswith("."):
        return host.endswith(entry) and host != entry
    return host == entry
