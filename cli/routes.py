"""The routes of the catalogue for the operator, with what their breakers say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import requests
from prometheus_client.parser import text_string_to_metric_families

from server import catalog_file
from server.providers.registry import PROVIDERS
from server.settings import Settings

METRICS_ADDRESS = "127.0.0.1:50052"
UNREACHABLE = "not reachable"
UNTOLD = "not told"
TIMEOUT = 5.0
_METRIC = "imageedit_breaker_state"


@dataclass(frozen=True, slots=True)
class RouteRow:
    """One route. `breaker` is closed, open or half_open, or says why that is not known."""

    alias: str
    provider: str
    model: str
    mask_method: str
    configured: bool
    breaker: str

    def facts(self) -> dict[str, str | bool]:
        """Return the columns by name."""
        return asdict(self)


def routes(settings: Settings, states: Mapping[str, str] | None) -> list[RouteRow]:
    """Return the catalogue's routes, an alias's own in the order in which they are tried.

    `states` are breakers by "provider:model", `None` where the service was not reached. Raises
    `CatalogError` where the catalogue is of no use.
    """
    catalog = catalog_file.load(settings.catalog, PROVIDERS, PROVIDERS)
    return [
        RouteRow(
            model.alias,
            route.provider,
            route.model,
            route.mask_method.value,
            route.provider in settings.provider_keys,
            UNREACHABLE
            if states is None
            else states.get(f"{route.provider}:{route.model}", UNTOLD),
        )
        for model in catalog.models
        for route in catalog.routes(model)
    ]


def breakers(address: str) -> dict[str, str] | None:
    """Return the breakers' states that the metrics page at `address` tells; `None`: no page."""
    try:
        answer = requests.get(f"http://{address}/metrics", timeout=TIMEOUT)
        answer.raise_for_status()
        families = list(text_string_to_metric_families(answer.text))
    except (requests.RequestException, ValueError):
        return None
    return {
        sample.labels["route"]: sample.labels["state"]
        for family in families
        for sample in family.samples
        if sample.name == _METRIC and sample.value == 1
    }
