"""`imageedit keys`: make, list, rotate and revoke the keys of this gateway."""

from __future__ import annotations

import click

from cli.database import clock, database, keys_of, ledger_of, settings
from cli.values import Dollars, Moment, Span, show_dollars, show_moment, shown_text
from server import catalog_file
from server.accounts.keys import DEFAULT_CONCURRENCY, DEFAULT_RATE_LIMIT, Key
from server.providers.registry import PROVIDERS

MOST_NAME_CHARACTERS = 200


@click.group()
def keys() -> None:
    """Make, list, rotate and revoke keys, in the database of IMAGEEDIT_DATABASE_URL.

    \b
    imageedit keys create --name shop --credits 25.00
    imageedit keys create --name trial --credits 2 --ends 30d --model openai/gpt-image-2
    imageedit keys list
    imageedit keys rotate KEY_ID --overlap 24h
    imageedit keys revoke KEY_ID
    """


def _name(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if not value.strip() or not value.isprintable() or len(value) > MOST_NAME_CHARACTERS:
        raise click.BadParameter(f"must be 1 to {MOST_NAME_CHARACTERS} printable characters")
    return value


def _models(
    _context: click.Context, _parameter: click.Parameter, value: tuple[str, ...]
) -> tuple[str, ...] | None:
    """Return the aliases; one that no catalogue row has would allow nothing, ever."""
    if not value:
        return None
    try:
        catalog = catalog_file.load(settings().catalog, PROVIDERS, PROVIDERS)
    except catalog_file.CatalogError as error:
        raise click.UsageError(f"IMAGEEDIT_CATALOG: {error}") from None
    known = [model.alias for model in catalog.models]
    for alias in value:
        if alias not in known:
            raise click.BadParameter(f'"{alias}" is not one of {", ".join(known)}')
    return value


@keys.command()
@click.option("--name", required=True, callback=_name, help="Whose key it is, for your records.")
@click.option(
    "--credits",
    "credit",
    default="0",
    type=Dollars(),
    help="Put so many US dollars on the account, e.g. 10.00.",
)
@click.option(
    "--rate-limit",
    default=DEFAULT_RATE_LIMIT,
    show_default=True,
    type=click.IntRange(1, 1_000_000),
    help="Requests a minute.",
)
@click.option(
    "--concurrency",
    default=DEFAULT_CONCURRENCY,
    show_default=True,
    type=click.IntRange(1, 1_000_000),
    help="Edits at the same time.",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    callback=_models,
    help="Allow this model (brand/model) alone; repeat it for more.",
)
@click.option("--spend-limit", type=Dollars(), help="US dollars this key may ever spend.")
@click.option("--ends", type=Moment(), help="When it ends: a day (2027-01-31) or a span (30d).")
@click.option(
    "--account",
    help="Share the balance of this account (see `keys list`) instead of opening another.",
)
def create(
    *,
    name: str,
    credit: int,
    rate_limit: int,
    concurrency: int,
    models: tuple[str, ...] | None,
    spend_limit: int | None,
    ends: int | None,
    account: str | None,
) -> None:
    """Make a key and print it, alone and for the only time, on standard output.

    \b
    KEY=$(imageedit keys create --name shop --credits 25.00)
    """
    with database() as store:
        try:
            made, secret = keys_of(store).create(
                name,
                account_id=account,
                rate_limit=rate_limit,
                concurrency=concurrency,
                models=models,
                spend_limit=spend_limit,
                ends=ends,
            )
        except LookupError as error:
            raise click.BadParameter(error.args[0], param_hint="--account") from None
        if credit:
            ledger_of(store).top_up(made.account_id, credit)
    click.echo(f"key {made.id} made for {made.name}; it is shown this once:", err=True)
    click.echo(secret)


@keys.command("list")
def list_keys() -> None:
    """List the keys, the oldest first: id, hint, state, when made, name, account and limits."""
    now = clock()
    with database() as store:
        for key in keys_of(store).list():
            click.echo(
                f"{key.id}  {key.hint}  {_state(key, now):<7}  {show_moment(key.created)}"
                f"  {shown_text(key.name)}  {', '.join(_facts(key))}"
            )


@keys.command()
@click.argument("key_id")
def revoke(key_id: str) -> None:
    """End the key KEY_ID (see `imageedit keys list`) at once, everywhere.

    Edits under way with it end as they would have; every later request is refused.
    """
    with database() as store:
        if not keys_of(store).revoke(key_id):
            raise click.ClickException(f'There is no live key with the id "{key_id}".')
    click.echo(f"revoked {key_id}", err=True)


@keys.command()
@click.argument("key_id")
@click.option(
    "--overlap",
    default="24h",
    show_default=True,
    type=Span(),
    help="How long the old key still works: 30m, 24h, 7d; 0s ends it now.",
)
def rotate(key_id: str, overlap: int) -> None:
    """Make a new key in place of KEY_ID and print it, alone, on standard output.

    It has the account, the name, the limits and the end of the old one, and its own spending,
    counted from 0. The old one works until the overlap is over: time to put the new one in place.
    """
    with database() as store:
        keys_ = keys_of(store)
        try:
            made, secret = keys_.rotate(key_id, overlap_ms=overlap)
        except LookupError as error:
            raise click.ClickException(error.args[0]) from None
        until = keys_.find(key_id).ends or 0
    also = "" if made.ends is None else f", which itself ends {show_moment(made.ends)} UTC"
    click.echo(f"{key_id} ends {show_moment(until)} UTC", err=True)
    click.echo(f"key {made.id} made for {made.name}{also}; it is shown this once:", err=True)
    click.echo(secret)


def _state(key: Key, now: int) -> str:
    if key.revoked is not None:
        return "revoked"
    return "live" if key.lives(now) else "ended"


def _facts(key: Key) -> list[str]:
    facts = [f"account {key.account_id}", f"{key.rate_limit}/min", f"{key.concurrency} at once"]
    if key.spend_limit is not None:
        facts.append(f"spends up to {show_dollars(key.spend_limit)}")
    if key.ends is not None:
        facts.append(f"ends {show_moment(key.ends)}")
    if key.models is not None:
        facts.append("only " + " ".join(key.models))
    return facts
