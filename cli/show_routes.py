"""`imageedit models --routes`: the operator's table of routes, with their breakers."""

from __future__ import annotations

import json

import click

from cli.database import settings
from cli.routes import METRICS_ADDRESS, UNREACHABLE, RouteRow, breakers, routes
from server.catalog_file import CatalogError

HEAD = ("alias", "provider", "model", "mask", "configured", "breaker")


def show_routes(*, as_json: bool) -> None:
    """Print every route of the catalogue; a catalogue of no use ends the command."""
    chosen = settings()
    address = chosen.metrics_address or METRICS_ADDRESS
    states = breakers(address)
    try:
        rows = routes(chosen, states)
    except CatalogError as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        click.echo(json.dumps([row.facts() for row in rows], indent=2, ensure_ascii=False))
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
