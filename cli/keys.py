"""`imageedit keys`: make, list and revoke the keys of this gateway."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

import click

from server.accounts.keys import DEFAULT_RATE_LIMIT, Keys
from server.accounts.store import open_store
from server.settings import SettingsError, read_settings

NANO = 10**9
MOST_DOLLARS = 1_000_000_000


def open_keys() -> Keys:
    """Return the keys in the database that `IMAGEEDIT_DATABASE_URL` names."""
    try:
        settings = read_settings(os.environ)
    except SettingsError as error:
        raise click.UsageError(str(error)) from None
    return Keys(open_store(settings.database_url), time.time)


@click.group()
def keys() -> None:
    """Make, list and revoke keys, in the database of IMAGEEDIT_DATABASE_URL."""


@keys.command()
@click.option("--name", required=True, help="Whose key it is, for your own records.")
@click.option("--credits", "credit", default="0", help="Opening balance in US dollars, e.g. 10.00.")
@click.option(
    "--rate-limit",
    default=DEFAULT_RATE_LIMIT,
    show_default=True,
    type=click.IntRange(1, 1_000_000),
    help="Requests a minute.",
)
def create(name: str, credit: str, rate_limit: int) -> None:
    """Make a key and print it, alone and for the only time, on standard output."""
    made, secret = open_keys().create(name, credit_nanos=_nanos(credit), rate_limit=rate_limit)
    click.echo(f"key {made.id} made for {made.name}; it is shown this once:", err=True)
    click.echo(secret)


@keys.command("list")
def list_keys() -> None:
    """List the keys: id, hint, state, when made, name."""
    for key in open_keys().list():
        made = datetime.fromtimestamp(key.created, UTC).strftime("%Y-%m-%d %H:%M")
        state = "live   " if key.revoked is None else "revoked"
        click.echo(f"{key.id}  {key.hint}  {state}  {made}  {key.name}")


@keys.command()
@click.argument("key_id")
def revoke(key_id: str) -> None:
    """End the key KEY_ID (see `imageedit keys list`) at once, everywhere."""
    if not open_keys().revoke(key_id):
        raise click.ClickException(f'There is no live key with the id "{key_id}".')
    click.echo(f"revoked {key_id}", err=True)


def _nanos(dollars: str) -> int:
    """Return US dollars in decimals as whole nano-dollars."""
    try:
        nanos = Decimal(dollars) * NANO
    except InvalidOperation:
        nanos = Decimal("NaN")
    usable = nanos.is_finite() and 0 <= nanos <= MOST_DOLLARS * NANO
    if not usable or nanos != int(nanos):
        raise click.BadParameter("must be US dollars, such as 10.00", param_hint="--credits")
    return int(nanos)
