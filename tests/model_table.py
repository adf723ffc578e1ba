"""The table of docs/models-and-prices.md, made of the catalogue.

Usage: python -m tests.model_table   (writes it into the page)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

from server.catalog import Model
from server.catalog_file import load
from server.ceiling import ceiling
from server.providers.registry import PROVIDERS

PAGE = Path(__file__).parent.parent / "docs" / "models-and-prices.md"
HEAD = (
    "| model | price | a 1024x1024 edit, at the most: low, medium, high | pictures | ends |\n"
    "|---|---|---|---|---|"
)
TABLE = re.compile(re.escape(HEAD) + r"\n(?:\|.*\n)+")
NANO = 1_000_000_000
MILLION = 1_000_000
# What the third column is about: a short prompt, one picture, no mask.
PROMPT_BYTES = 100


def table() -> str:
    """Return the head and a line for each model of the built-in catalogue, in its order."""
    models = load(None, PROVIDERS, PROVIDERS)._all.values()
    return "\n".join((HEAD, *map(_line, models))) + "\n"


def _line(model: Model) -> str:
    pictures = max(route.max_images for route in model.routes if route.masked is not True)
    ends = str(model.expiration or "")
    most = ", ".join(_at_most(model))
    return f"| `{model.alias}` | {_price(model)} | {most} | {pictures} | {ends} |"


def _price(model: Model) -> str:
    if not model.prices.by_token:
        return f"${model.pricing['image']} an edit"
    per_million = (
        f"${Decimal(model.pricing[name]) * MILLION:f}".rstrip("0").rstrip(".")
        for name in ("prompt", "image_token", "image_output")
    )
    return "{} text in, {} pictures in, {} picture out".format(*per_million)


def _at_most(model: Model) -> Iterator[str]:
    """Yield what is held by quality, once where it is always the same."""
    costs = []
    for quality in ("low", "medium", "high"):
        dearest = max(
            ceiling(
                model,
                route,
                prompt_bytes=PROMPT_BYTES,
                image_count=1,
                masked=False,
                size="1024x1024",
                quality=quality,
                canvas=(1024, 1024),
            )
            for route in model.routes
            if route.masked is not True
        )
        costs.append(f"${Decimal(dearest) / NANO:.3f}")
    yield from costs if len(set(costs)) > 1 else costs[:1]


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(TABLE.sub(lambda _: table(), text), encoding="utf-8")
