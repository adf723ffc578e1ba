"""The catalogue: readable, and which of its models their vendors shut down soon."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from cli.checkup.finding import Finding, ok, warn
from server.catalog import Catalog

SOON_DAYS = 90


def check_dates(catalog: Catalog, today: date) -> Iterator[Finding]:
    """Name every model that can be routed and is gone, or ends within `SOON_DAYS`."""
    models = catalog.models
    fine = 0
    for model in models:
        days = (model.expiration - today).days if model.expiration else SOON_DAYS + 1
        if days > SOON_DAYS:
            fine += 1
        elif days > 0:
            yield warn(
                model.alias,
                f"its vendor shuts it down on {model.expiration}, in {days} days",
                "Move its callers to another model before.",
            )
        else:
            yield warn(
                model.alias,
                f"its vendor shut it down on {model.expiration}",
                "Move its callers, and take its row out of the catalogue.",
            )
    yield ok("catalogue", f"{len(models)} models, {fine} of them without an end in sight")
