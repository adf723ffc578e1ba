"""The service's settings: the only reader of its environment."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from server import setting_values as values

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
    cancel: str = "finish"
    breaker_faults: int = 5
    max_edits: int = 256
    max_bytes: int = 1024**3
    max_pixels: int = 16_777_216
    metrics_address: str | None = None
    reflection: bool = False
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    insecure: bool = False


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Return the settings in `environment`; raises `SettingsError`."""
    read = _Reader(environment)
    settings = Settings(
        grpc_address=read.value("IMAGEEDIT_GRPC_ADDRESS", values.address, "127.0.0.1:50051"),
        database_url=read.value("IMAGEEDIT_DATABASE_URL", values.database, DEFAULT_DATABASE_URL),
        redis_url=read.value("IMAGEEDIT_REDIS_URL", values.redis, None),
        user_rate_limit=read.value("IMAGEEDIT_USER_RATE_LIMIT", values.count, None),
        results_bytes=read.value("IMAGEEDIT_RESULTS_BYTES", values.count, 2 * 1024**3),
        catalog=read.value("IMAGEEDIT_CATALOG", values.file, None),
        provider_keys=read.each("_API_KEY", values.key),
        base_urls=read.each("_BASE_URL", values.base_url),
        download_origins=read.value("IMAGEEDIT_DOWNLOAD_ORIGINS", values.origins, ()),
        attempt_timeout=read.value("IMAGEEDIT_ATTEMPT_TIMEOUT", values.seconds, 300.0),
        cancel=read.value("IMAGEEDIT_CANCEL", values.cancel, "finish"),
        breaker_faults=read.value("IMAGEEDIT_BREAKER_FAULTS", values.count_or_none, 5),
        max_edits=read.value("IMAGEEDIT_MAX_EDITS", values.count, 256),
        max_bytes=read.value("IMAGEEDIT_MAX_BYTES", values.count, 1024**3),
        max_pixels=read.value("IMAGEEDIT_MAX_PIXELS", values.count, 16_777_216),
        metrics_address=read.value("IMAGEEDIT_METRICS_ADDRESS", values.host_port, None),
        reflection=read.value("IMAGEEDIT_GRPC_REFLECTION", values.switch, default=False),
        tls_cert=read.value("IMAGEEDIT_TLS_CERT", values.file, None),
        tls_key=read.value("IMAGEEDIT_TLS_KEY", values.file, None),
        tls_client_ca=read.value("IMAGEEDIT_TLS_CLIENT_CA", values.file, None),
        insecure=read.value("IMAGEEDIT_GRPC_INSECURE", values.switch, default=False),
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
        given = {
            provider: self.value(prefix + suffix, convert, "")
            for provider, prefix in PROVIDER_VARIABLES.items()
        }
        return {provider: value for provider, value in given.items() if value}
