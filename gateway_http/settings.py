"""What the environment sets for the front; the only reader of the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

# gRPC's own syntax for addresses (github.com/grpc/grpc, doc/naming.md).
_RESOLVED = re.compile(r"(?:dns:(?://[^/\s]*/)?[^\s,/]+|ipv[46]:[^\s/]+)")
_HOST_PORT = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\s:\[\]/]+)):([0-9]{1,5})")


class SettingsError(Exception):
    """A variable cannot be used; the text is one line that names it."""


@dataclass(frozen=True, slots=True)
class Tls:
    """The front's side of TLS to the service, as PEM files' contents.

    Without `ca` the system's authorities are trusted; with `certificate` and `key` it is mutual.
    """

    ca: bytes | None = None
    certificate: bytes | None = None
    key: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set (contract, section 6).

    `http_address` is host and port to listen on, port 0 for any; `grpc_address` is "HOST:PORT",
    "unix:PATH", or several services as `names_several` tells; `attempt_timeout` is in seconds;
    `threads` is how many requests are served at once, more than the service holds edits, so that
    health checks and refusals always find one.
    """

    http_address: tuple[str, int] = ("127.0.0.1", 8080)
    grpc_address: str = "127.0.0.1:50051"
    attempt_timeout: float = 300.0
    threads: int = 320
    tls: Tls | None = None


def from_environment() -> Settings:
    """Return the settings of this process; raises SettingsError."""
    return read(os.environ)


def read(environ: Mapping[str, str]) -> Settings:
    """Return the settings that `environ` holds; empty means unset; raises SettingsError."""
    given = {name: value.strip() for name, value in environ.items() if value.strip()}
    defaults = Settings()
    grpc_address = given.get("IMAGEEDIT_GRPC_ADDRESS", defaults.grpc_address)
    if not re.fullmatch(r"unix:.+", grpc_address) and not names_several(grpc_address):
        more = ", unix:PATH, dns:///NAME:PORT or ipv4:IP:PORT,IP:PORT"
        _host_port("IMAGEEDIT_GRPC_ADDRESS", grpc_address, more)
    return Settings(
        http_address=_host_port(
            "IMAGEEDIT_HTTP_ADDRESS", given.get("IMAGEEDIT_HTTP_ADDRESS", "127.0.0.1:8080")
        ),
        grpc_address=grpc_address,
        attempt_timeout=_seconds(given, "IMAGEEDIT_ATTEMPT_TIMEOUT", defaults.attempt_timeout),
        threads=_whole(given, "IMAGEEDIT_HTTP_THREADS", defaults.threads, 4, 10_000),
        tls=_tls(given),
    )


def names_several(grpc_address: str) -> bool:
    """Tell whether an address may stand for several services: dns:///NAME:PORT, ipv4:A:P,B:P."""
    return _RESOLVED.fullmatch(grpc_address) is not None


def _host_port(name: str, value: str, more: str = "") -> tuple[str, int]:
    match = _HOST_PORT.fullmatch(value)
    if match is None or int(match[3]) > 65_535:
        raise SettingsError(
            f"{name} must be HOST:PORT{more}, such as 127.0.0.1:8080; got {value!r}"
        )
    return match[1] or match[2], int(match[3])


def _seconds(given: Mapping[str, str], name: str, default: float) -> float:
    value = given.get(name)
    if value is None:
        return default
    if not re.fullmatch(r"[0-9]{1,5}(\.[0-9]{1,3})?", value) or not 0 < float(value) <= 86_400:
        raise SettingsError(f"{name} must be seconds, above 0 and up to 86400; got {value!r}")
    return float(value)


def _whole(given: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    value = given.get(name)
    if value is None:
        return default
    if not re.fullmatch(r"[0-9]{1,9}", value) or not least <= int(value) <= most:
        raise SettingsError(f"{name} must be a whole number, {least} to {most}; got {value!r}")
    return int(value)


def _tls(given: Mapping[str, str]) -> Tls | None:
    ca = _file(given, "IMAGEEDIT_GRPC_CA")
    certificate = _file(given, "IMAGEEDIT_GRPC_CLIENT_CERT")
    key = _file(given, "IMAGEEDIT_GRPC_CLIENT_KEY")
    if (certificate is None) != (key is None):
        raise SettingsError(
            "IMAGEEDIT_GRPC_CLIENT_CERT and IMAGEEDIT_GRPC_CLIENT_KEY go together; one is unset"
        )
    return Tls(ca, certificate, key) if ca or certificate else None


def _file(given: Mapping[str, str], name: str) -> bytes | None:
    if name not in given:
        return None
    try:
        return Path(given[name]).read_bytes()
    except OSError as error:
        raise SettingsError(
            f"{name} must be a readable file; {given[name]!r}: {error.strerror}"
        ) from None
