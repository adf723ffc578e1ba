"""The service's settings: the only reader of its environment."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from redis import ConnectionPool
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from server.upstream.origins import parse_origin

T = TypeVar("T")

PROVIDER_VARIABLES = {"openai": "OPENAI", "openrouter": "OPENROUTER", "siliconflow": "SILICONFLOW"}
DEFAULT_DATABASE_URL = "sqlite:///var/imageedit.db"


class SettingsError(ValueError):
    """A variable has no usable value; the message names it and says what would be right."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Where to listen, what to use, how much to hold. Times in seconds.

    `provider_keys` has the configured providers alone; `base_urls` those that are not the vendor's
    own.
    """

    grpc_address: str = "127.0.0.1:50051"
    database_url: str = field(default=DEFAULT_DATABASE_URL, repr=False)
    redis_url: str | None = field(default=None, repr=False)
    user_rate_limit: int | None = None
    results_bytes: int = 2 * 1024**3
    catalog: Path | None = None
    provider_keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    base_urls: Mapping[str, str] = field(default_factory=dict)
    download_origins: tuple[str, ...] = ()
    attempt_timeout: float = 300.0
    max_edits: int = 256
    max_pixels: int = 16_777_216
    reflection: bool = False
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    insecure: bool = False


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Return the settings in `environment`; raises `SettingsError`."""
    read = _Reader(environment)
    settings = Settings(
        grpc_address=read.value("IMAGEEDIT_GRPC_ADDRESS", _address, "127.0.0.1:50051"),
        database_url=read.value("IMAGEEDIT_DATABASE_URL", _database, DEFAULT_DATABASE_URL),
        redis_url=read.value("IMAGEEDIT_REDIS_URL", _redis, None),
        user_rate_limit=read.value("IMAGEEDIT_USER_RATE_LIMIT", _count, None),
        results_bytes=read.value("IMAGEEDIT_RESULTS_BYTES", _count, 2 * 1024**3),
        catalog=read.value("IMAGEEDIT_CATALOG", _file, None),
        provider_keys=read.each("_API_KEY", _key),
        base_urls=read.each("_BASE_URL", _base_url),
        download_origins=read.value("IMAGEEDIT_DOWNLOAD_ORIGINS", _origins, ()),
        attempt_timeout=read.value("IMAGEEDIT_ATTEMPT_TIMEOUT", _seconds, 300.0),
        max_edits=read.value("IMAGEEDIT_MAX_EDITS", _count, 256),
        max_pixels=read.value("IMAGEEDIT_MAX_PIXELS", _count, 16_777_216),
        reflection=read.value("IMAGEEDIT_GRPC_REFLECTION", _switch, default=False),
        tls_cert=read.value("IMAGEEDIT_TLS_CERT", _file, None),
        tls_key=read.value("IMAGEEDIT_TLS_KEY", _file, None),
        tls_client_ca=read.value("IMAGEEDIT_TLS_CLIENT_CA", _file, None),
        insecure=read.value("IMAGEEDIT_GRPC_INSECURE", _switch, default=False),
    )
    _check_tls(settings)
    return settings


def _check_tls(settings: Settings) -> None:
    if (settings.tls_cert is None) != (settings.tls_key is None):
        raise SettingsError("IMAGEEDIT_TLS_CERT and IMAGEEDIT_TLS_KEY go together: set both.")
    if settings.tls_client_ca is not None and settings.tls_cert is None:
        raise SettingsError("IMAGEEDIT_TLS_CLIENT_CA needs IMAGEEDIT_TLS_CERT and _KEY beside it.")
    if settings.tls_cert is None and not settings.insecure and not _is_local(settings.grpc_address):
        raise SettingsError(
            f"IMAGEEDIT_GRPC_ADDRESS {settings.grpc_address} is reachable from other hosts, and"
            " keys would travel in the clear: set IMAGEEDIT_TLS_CERT and IMAGEEDIT_TLS_KEY, or"
            " IMAGEEDIT_GRPC_INSECURE=1 where the network itself is private."
        )


def _is_local(address: str) -> bool:
    host = address.rpartition(":")[0].strip("[]")
    if address.startswith("unix:") or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _Reader:
    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def value(self, name: str, convert: Callable[[str], T], default: T) -> T:
        text = self._environment.get(name, "").strip()
        if not text:
            return default
        try:
            return convert(text)
        except ValueError as error:
            secret = name.endswith(("_KEY", "_URL"))  # URLs of databases hold passwords
            shown = "the value" if secret else f'"{text}"'
            raise SettingsError(f"{name}: {shown} {error}") from None

    def each(self, suffix: str, convert: Callable[[str], str]) -> dict[str, str]:
        values = {
            provider: self.value(prefix + suffix, convert, "")
            for provider, prefix in PROVIDER_VARIABLES.items()
        }
        return {provider: value for provider, value in values.items() if value}


def _address(text: str) -> str:
    if text.startswith("unix:") and len(text) > len("unix:"):
        return text
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise ValueError("is neither HOST:PORT nor unix:PATH")
    return text


def _key(text: str) -> str:
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("holds characters that no key has")
    return text


def _base_url(text: str) -> str:
    if not text.startswith(("https://", "http://")):
        raise ValueError("is not an http or https URL, such as https://api.openai.com/v1")
    return text.rstrip("/")


def _file(text: str) -> Path:
    path = Path(text)
    if not path.is_file():
        raise ValueError("is not a file")
    return path


def _database(text: str) -> str:
    try:
        backend = make_url(text).get_backend_name()
    except ArgumentError:
        backend = ""
    if backend not in {"sqlite", "postgresql"}:
        raise ValueError("is neither sqlite:///PATH nor postgresql://HOST/NAME")
    return text


def _redis(text: str) -> str:
    try:
        ConnectionPool.from_url(text)
    except ValueError:
        raise ValueError("is not a URL such as redis://127.0.0.1:6379/0") from None
    return text


def _origins(text: str) -> tuple[str, ...]:
    origins = tuple(text.replace(",", " ").split())
    for origin in origins:
        try:
            parse_origin(origin)
        except ValueError:
            raise ValueError("must list origins such as http://127.0.0.1:9000") from None
    return origins


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 86_400:
        raise ValueError("is not a number of seconds above 0")
    return seconds


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ValueError("is not a whole number of 1 or more")
    return int(text)


def _switch(text: str) -> bool:
    switches = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    if text.lower() not in switches:
        raise ValueError("is neither 1 nor 0")
    return switches[text.lower()]
