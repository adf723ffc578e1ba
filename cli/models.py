"""`imageedit models`: what this gateway can route now, and by which routes."""

from __future__ import annotations

import json
from decimal import Decimal

import click

from cli.client import call, url_option


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
        # Slow to import: the settings, the catalogue, the metrics' parser.
        from cli.show_routes import show_routes  # noqa: PLC0415

        show_routes(as_json=as_json)
        return
    listed = call("GET", f"{url.rstrip('/')}/v1/models").json()["data"]
    if as_json:
        click.echo(json.dumps(listed, indent=2, ensure_ascii=False))
        return
    for model in listed:
        ends = f"  until {model['expiration_date']}" if model["expiration_date"] else ""
        pictures = model["max_input_images"]
        click.echo(f"{model['id']:<36}{_price(model['pricing']):<50}  {pictures:>2} in{ends}")


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
