"""Reads and checks a catalogue file (TOML); every complaint names the row at fault."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from server.catalog import Catalog, Model, Parameter, ProviderFacts, Route
from server.catalog_parameters import read_parameters
from server.catalog_prices import read_bounds, read_prices
from server.catalog_row import CatalogError, Row
from server.domain import MaskMethod
from server.prices import TokenBounds

__all__ = ["BUILT_IN", "CatalogError", "load"]

BUILT_IN = Path(__file__).with_name("catalog.toml")
_ALIAS = re.compile(r"[a-z0-9][a-z0-9._-]*/[a-z0-9][a-z0-9._-]*")


def load(path: Path | None, providers: Collection[str], configured: Collection[str]) -> Catalog:
    """Return the catalogue in the file at `path`, or the built-in one.

    `providers` are the names that routes may have, `configured` those with a key. Raises
    `CatalogError`.
    """
    path = path or BUILT_IN
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CatalogError(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CatalogError(f"{path}: {error}") from None
    try:
        return _catalog(document, providers, configured)
    except CatalogError as error:
        raise CatalogError(f"{path}: {error}") from None


def _catalog(
    document: Mapping[str, Any], providers: Collection[str], configured: Collection[str]
) -> Catalog:
    top = Row("top level", document)
    facts = {}
    for name, table in top.take("providers", dict).items():
        if name not in providers:
            raise CatalogError(f"providers.{name}: unknown; known: {', '.join(sorted(providers))}")
        facts[name] = _facts(Row(f"providers.{name}", table))
    sets = {
        name: read_parameters(Row(f"parameters.{name}", table))
        for name, table in top.take("parameters", dict, {}).items()
    }
    bounds = {
        name: read_bounds(Row(f"ceilings.{name}", table))
        for name, table in top.take("ceilings", dict, {}).items()
    }
    models: list[Model] = []
    for index, table in enumerate(top.take("models", list)):
        model = _model(Row(f"models[{index}]", table), facts, sets, bounds)
        if any(model.alias == other.alias for other in models):
            raise CatalogError(f'models[{index}]: the alias "{model.alias}" is there twice')
        models.append(model)
    top.done()
    return Catalog(models, facts, configured)


def _facts(row: Row) -> ProviderFacts:
    facts = ProviderFacts(
        row.take("base_url", str),
        row.texts("download_hosts", []),
        row.take("failures_are_free", bool, default=False),
        row.take("cancel_stops_billing", bool, default=False),
    )
    if not facts.base_url.startswith("https://"):
        raise row.fail('"base_url" must start with https://')
    row.done()
    return facts


def _model(
    row: Row,
    facts: Collection[str],
    sets: Mapping[str, Mapping[str, Parameter]],
    bounds: Mapping[str, TokenBounds],
) -> Model:
    alias = row.take("alias", str)
    row.place += f" ({alias})"
    if not _ALIAS.fullmatch(alias):
        raise row.fail('"alias" must be brand/model in lower case')
    prices, pricing = read_prices(Row(f"{row.place}.pricing", row.take("pricing", dict)))
    routes = row.take("routes", list)
    if not routes:
        raise row.fail('"routes" must have at least one')
    model = Model(
        alias=alias,
        name=row.take("name", str),
        description=row.take("description", str),
        created=row.take("created", date),
        expiration=row.optional("expiration_date", date),
        features=row.texts("features"),
        prices=prices,
        pricing=pricing,
        bounds=_bounds(row, bounds) if prices.by_token else None,
        routes=tuple(
            _route(Row(f"{row.place}.routes[{index}]", table), facts, sets)
            for index, table in enumerate(routes)
        ),
    )
    row.done()
    if all(route.masked is True for route in model.routes):
        raise row.fail('"routes" are all for edits with a mask; one must take edits without')
    return model


def _bounds(row: Row, known: Mapping[str, TokenBounds]) -> TokenBounds:
    """Return the ceiling that a model with token prices must have: there is no hold without."""
    name = row.optional("ceiling", str)
    if name is None or name not in known:
        given = "is missing" if name is None else f'is "{name}"'
        raise row.fail(
            f'"ceiling" {given}; prices by token need one of those in the file:'
            f" {', '.join(known) or 'none'}"
        )
    return known[name]


def _route(row: Row, facts: Collection[str], sets: Mapping[str, Mapping[str, Parameter]]) -> Route:
    provider = row.take("provider", str)
    if provider not in facts:
        raise row.fail(f'"provider" is "{provider}", but the file has: {", ".join(facts)}')
    method = row.take("mask_method", str)
    if method not in set(MaskMethod):
        raise row.fail(f'"mask_method" is "{method}", not one of {", ".join(MaskMethod)}')
    name = row.take("parameters", str)
    if name not in sets:
        raise row.fail(f'"parameters" is "{name}", but the file has: {", ".join(sets)}')
    image_fields = row.texts("image_fields", [])
    max_images = row.take("max_images", int)
    if max_images < 1 or (image_fields and len(image_fields) != max_images):
        raise row.fail('"max_images" must be 1 or more, and the number of "image_fields" if given')
    route = Route(
        provider=provider,
        model=row.take("model", str),
        mask_method=MaskMethod(method),
        max_images=max_images,
        image_fields=image_fields,
        parameters=sets[name],
        masked=row.optional("masked", bool),
    )
    row.done()
    return route
