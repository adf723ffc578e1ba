"""`imageedit models`: what this gateway can route now, and by which routes."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import click

from cli.client import call, url_option
from cli.database import settings
from cli.routes import METRICS_ADDRESS, UNREACHABLE, RouteRow, breakers, routes
from server.catalog_file import CatalogError

HEAD = ("alias", "provider", "model", "mask", "configured", "breaker")


@click.command()
@url_option
@click.option(
    "--routes",
    "by_route",
    is_flag=True,
    help="For the operator: every route of the catalogue, whether its provider is configured in"
    " this environment, and its breaker as the service's metrics tell it.",
)
@click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")
def models(*, url: str, by_route: bool, as_json: bool) -> None:
    """List the models of the gateway: alias, price, pictures in, and when one ends."""
    if by_route:
        _show_routes(as_json=as_json)
        return
    listed = call("GET", f"{url.rstrip('/')}/v1/models").json()["data"]
    if as_json:
        _show_json(listed)
        return
    for model in listed:
        ends = f"  until {model['expiration_date']}" if model["expiration_date"] else ""
        pictures = model["max_input_images"]
        click.echo(f"{model['id']:<36}{_price(model['pricing']):<48}{pictures:>2} in{ends}")


def _show_routes(*, as_json: bool) -> None:
    chosen = settings()
    address = chosen.metrics_address or METRICS_ADDRESS
    states = breakers(address)
    try:
        rows = routes(chosen, states)
    except CatalogError as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        _show_json([row.facts() for row in rows])
    else:
        _show_table(rows)
    if states is None:
        click.echo(
            f"Breakers: {UNREACHABLE}, there are no metrics at {address}"
            " (IMAGEEDIT_METRICS_ADDRESS).",
            err=True,
        )


def _show_table(rows: list[RouteRow]) -> None:
    cells = [HEAD, *(_cells(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.echo("  ".join(padded).rstrip())


def _cells(row: RouteRow) -> tuple[str, ...]:
    configured = "yes" if row.configured else "no"
    return row.alias, row.provider, row.model, row.mask_method, configured, row.breaker


def _show_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def _price(pricing: dict[str, str]) -> str:
    words = {"prompt": "text in", "image_token": "picture in", "image_output": "out"}
    tokens = [
        f"{word} {Decimal(pricing[name]) * 10**6:f}".rstrip("0").rstrip(".")
        for name, word in words.items()
        if name in pricing
    ]
    if tokens:
        return f"$ per M tokens: {', '.join(tokens)}"
    return f"${pricing['image']} an edit" if "image" in pricing else "by quality and size"
