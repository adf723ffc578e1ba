"""`imageedit models`: what this gateway can route now."""

from __future__ import annotations

from decimal import Decimal

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
        click.echo(f"{model['id']:<36}{_price(model['pricing']):<48}{pictures:>2} in{ends}")


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
