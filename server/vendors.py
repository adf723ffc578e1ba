"""The catalogue, and the way to those vendors of it that the settings have a key for."""

from __future__ import annotations

import logging

from server import catalog_file
from server.catalog import Catalog
from server.providers.registry import PROVIDERS
from server.settings import Settings
from server.upstream.attempts import Attempts
from server.upstream.delivery import Vendor
from server.upstream.session import Endpoint
from server.upstream.watchdog import Watchdog

logger = logging.getLogger("imageedit.service")


def load_catalog(settings: Settings) -> Catalog:
    """Return the catalogue; models that expire are told to the log. Raises `CatalogError`."""
    catalog = catalog_file.load(settings.catalog, PROVIDERS, settings.provider_keys)
    for model in catalog.models:
        if model.expiration is not None:
            line = {"event": "model expires", "model": model.alias, "on": model.expiration}
            logger.warning("model expires", extra={"line": line})
    return catalog


def attempts_by(settings: Settings, catalog: Catalog, watchdog: Watchdog) -> Attempts:
    """Return the way to the vendors by all routes of `catalog`."""
    return Attempts(
        _vendors(settings, catalog),
        [route for model in catalog.models for route in catalog.routes(model)],
        timeout=settings.attempt_timeout,
        download_origins=settings.download_origins,
        watchdog=watchdog,
        faults=settings.breaker_faults,
        cancel_unbilled=settings.cancel == "unbilled",
    )


def _vendors(settings: Settings, catalog: Catalog) -> dict[str, Vendor]:
    vendors = {}
    for name, key in settings.provider_keys.items():
        if (facts := catalog.providers.get(name)) is not None:
            endpoint = Endpoint(name, settings.base_urls.get(name, facts.base_url), key)
            vendors[name] = Vendor(PROVIDERS[name], endpoint, facts)
    return vendors
