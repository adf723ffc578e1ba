"""Reads what a route can be told: its parameters, their names and values at the vendor, sizes."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from server.catalog import Parameter
from server.catalog_row import Row
from server.sizes import SizeRule, parse_ratio, parse_size

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
    "partial_images",
)


def read_parameters(row: Row) -> Mapping[str, Parameter]:
    """Return the parameters of routes that name this set; raises `CatalogError`."""
    parameters = {}
    for name in TRANSLATABLE:
        table = row.optional(name, dict)
        if table is not None:
            parameters[name] = _parameter(name, Row(f"{row.place}.{name}", table))
    row.done()
    return parameters


def _parameter(name: str, row: Row) -> Parameter:
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


def _check_sizes(row: Row, values: Collection[str], rule: SizeRule | None) -> None:
    for value in values:
        try:
            parse_ratio(value) or parse_size(value)
        except ValueError as error:
            raise row.fail(str(error)) from None
    if rule is None and not set(values) - {"auto"}:
        raise row.fail("sizes need values or a rule (multiple_of, max_edge, …)")
