"""`imageedit models`: what this gateway can route now."""

from __future__ import annotations

import click

from cli.client import call, url_option


@click.command()
@url_option
def models(*, url: str) -> None:
    """List the models of the gateway: alias, price, pictures in, and when one ends."""
    answer = call("GET", f"{url.rstrip('/')}/v1/models")
    for model in answer.json()["data"]:
        ends = f"  until {model['expiration_date']}" if model["expiration_date"] else ""
        pictures = model["max_input_images"]
        click.echo(f"{model['id']:<36}{_price(model['pricing']):<34}{pictures:>2} in{ends}")


def _price(pricing: dict[str, str]) -> str:
    if "image" in pricing:
        return f"${pricing['image']} an edit"
    per_million = (float(price) * 1e6 for price in pricing.values())
    return "$" + " / ".join(f"{price:g}" for price in per_million) + " per M tokens"
