"""Reads and checks a catalogue file (TOML); every complaint names the row at fault."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TypeVar

from server.catalog import Catalog, Model, Parameter, Prices, ProviderFacts, Route
from server.domain import MaskMethod
from server.sizes import SizeRule, parse_ratio, parse_size

BUILT_IN = Path(__file__).with_name("catalog.toml")
TRANSLATABLE = (
    "size",
    "quality",
    "background",
    "output_format",
    "output_compression",
    "input_fidelity",
    "moderation",
    "seed",
    "user",
)
_ALIAS = re.compile(r"[a-z0-9][a-z0-9._-]*/[a-z0-9][a-z0-9._-]*")
_NANO = Decimal(10) ** 9
T = TypeVar("T")


class CatalogError(ValueError):
    """The file is not a usable catalogue; the message names the row and what would be right."""


class _Row:
    """A table of the file with the place where it stands, consumed field by field."""

    def __init__(self, place: str, table: object) -> None:
        if not isinstance(table, dict):
            raise CatalogError(f"{place}: must be a table")
        self.place = place
        self._left: dict[str, Any] = dict(table)

    def __contains__(self, key: str) -> bool:
        return key in self._left

    def fail(self, problem: str) -> CatalogError:
        return CatalogError(f"{self.place}: {problem}")

    def take(self, key: str, kind: type[T], default: T | None = None) -> T:
        value = self._left.pop(key, default)
        if value is None:
            raise self.fail(f'"{key}" is missing')
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise self.fail(f'"{key}" must be of type {kind.__name__}, not {value!r}')
        return value

    def optional(self, key: str, kind: type[T]) -> T | None:
        return self.take(key, kind) if key in self._left else None

    def texts(self, key: str, default: list[str] | None = None) -> tuple[str, ...]:
        values = self.take(key, list, default)
        if not all(isinstance(value, str) and value for value in values):
            raise self.fail(f'"{key}" must be a list of texts')
        return tuple(values)

    def done(self) -> None:
        if self._left:
            raise self.fail(f"unknown: {', '.join(sorted(self._left))}")


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
    top = _Row("top level", document)
    facts = {}
    for name, table in top.take("providers", dict).items():
        if name not in providers:
            raise CatalogError(f"providers.{name}: unknown; known: {', '.join(sorted(providers))}")
        facts[name] = _facts(_Row(f"providers.{name}", table))
    sets = {
        name: _parameters(_Row(f"parameters.{name}", table))
        for name, table in top.take("parameters", dict, {}).items()
    }
    models: list[Model] = []
    for index, table in enumerate(top.take("models", list)):
        model = _model(_Row(f"models[{index}]", table), facts, sets)
        if any(model.alias == other.alias for other in models):
            raise CatalogError(f'models[{index}]: the alias "{model.alias}" is there twice')
        models.append(model)
    top.done()
    return Catalog(models, facts, configured)


def _facts(row: _Row) -> ProviderFacts:
    facts = ProviderFacts(
        row.take("base_url", str),
        row.texts("download_hosts", []),
        row.take("failures_are_free", bool, default=False),
    )
    if not facts.base_url.startswith("https://"):
        raise row.fail('"base_url" must start with https://')
    row.done()
    return facts


def _model(row: _Row, facts: Collection[str], sets: Mapping[str, Mapping[str, Parameter]]) -> Model:
    alias = row.take("alias", str)
    row.place += f" ({alias})"
    if not _ALIAS.fullmatch(alias):
        raise row.fail('"alias" must be brand/model in lower case')
    prices, pricing = _prices(_Row(f"{row.place}.pricing", row.take("pricing", dict)))
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
        routes=tuple(
            _route(_Row(f"{row.place}.routes[{index}]", table), facts, sets)
            for index, table in enumerate(routes)
        ),
    )
    row.done()
    return model


def _prices(row: _Row) -> tuple[Prices, Mapping[str, str]]:
    pricing, nanos = {}, {}
    for key in ("prompt", "image_token", "image_output", "image"):
        text = row.optional(key, str)
        if text is None:
            continue
        try:
            nano = Decimal(text) * _NANO
        except InvalidOperation:
            raise row.fail(f'"{key}" must be US dollars in decimals, not "{text}"') from None
        if not nano.is_finite() or nano < 0 or nano != int(nano):
            raise row.fail(f'"{key}" must be a whole number of nano-dollars, not "{text}"')
        pricing[key], nanos[key] = text, int(nano)
    if not nanos:
        raise row.fail("a price is missing: prompt, image_token, image_output or image")
    row.done()
    return Prices(**nanos), pricing


def _route(row: _Row, facts: Collection[str], sets: Mapping[str, Mapping[str, Parameter]]) -> Route:
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
    )
    row.done()
    return route


def _parameters(row: _Row) -> Mapping[str, Parameter]:
    parameters = {}
    for name in TRANSLATABLE:
        table = row.optional(name, dict)
        if table is not None:
            parameters[name] = _parameter(name, _Row(f"{row.place}.{name}", table))
    row.done()
    return parameters


def _parameter(name: str, row: _Row) -> Parameter:
    upstream_name = row.take("as", str, name)
    rule = None
    if "multiple_of" in row:
        rule = SizeRule(
            *(
                row.take(key, int)
                for key in ("multiple_of", "max_edge", "max_ratio", "min_pixels", "max_pixels")
            )
        )
    values = {value: value for value in row.texts("values", [])}
    if name == "size":
        _check_sizes(row, values, rule)
    row.done()
    return Parameter(upstream_name, values, rule)


def _check_sizes(row: _Row, values: Collection[str], rule: SizeRule | None) -> None:
    for value in values:
        try:
            parse_ratio(value) or parse_size(value)
        except ValueError as error:
            raise row.fail(str(error)) from None
    if rule is None and not set(values) - {"auto"}:
        raise row.fail("sizes need values or a rule (multiple_of, max_edge, …)")
