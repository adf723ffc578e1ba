"""`imageedit credits`: put money on accounts, see what is there, and check the books."""

from __future__ import annotations

import click

from cli.database import account_of, database, ledger_of
from cli.values import Dollars, show_dollars
from server.accounts.audit import audit as find_faults


@click.group("credits")
def credit() -> None:
    """Add credits, show them, and check the books, in the database of IMAGEEDIT_DATABASE_URL.

    \b
    imageedit credits add KEY_ID 25.00
    imageedit credits show KEY_ID
    imageedit credits audit
    """


# So that a negative amount is not taken for an option.
@credit.command(context_settings={"ignore_unknown_options": True})
@click.argument("key_id")
@click.argument("amount", type=Dollars(negative=True))
def add(key_id: str, amount: int) -> None:
    """Put AMOUNT US dollars on the account of KEY_ID; a negative one corrects a mistake.

    What is held for edits under way can't be taken back.

    \b
    imageedit credits add KEY_ID 25.00
    imageedit credits add KEY_ID -5
    """
    with database() as store:
        account, ledger = account_of(store, key_id), ledger_of(store)
        try:
            ledger.top_up(account, amount)
        except ValueError:
            balance = ledger.balance(account)
            free = show_dollars(balance.posted - balance.held)
            raise click.ClickException(
                f"The account has {free} that is free; {show_dollars(-amount)} can't be taken back."
            ) from None
        balance = ledger.balance(account)
    click.echo(f"added {show_dollars(amount)}; the balance is {show_dollars(balance.posted)}")


@credit.command()
@click.argument("key_id")
def show(key_id: str) -> None:
    """Show the account of KEY_ID: what is left, what of it is held, and what was spent."""
    with database() as store:
        account = account_of(store, key_id)
        balance = ledger_of(store).balance(account)
    click.echo(f"account  {account}")
    click.echo(f"balance  {show_dollars(balance.posted)}")
    click.echo(f"held     {show_dollars(balance.held)}")
    click.echo(f"spent    {show_dollars(balance.spent)}")


@credit.command()
def audit() -> None:
    """Check all books against the journal; print what does not agree, and end with 1 if any.

    Changes nothing, and may run while the gateway does.
    """
    with database() as store:
        faults = find_faults(store)
    for fault in faults:
        click.echo(fault)
    if faults:
        raise click.exceptions.Exit(1)
    click.echo("the books agree", err=True)
