"""`imageedit migrate`: bring the database to the version of this program."""

from __future__ import annotations

import click

from cli.database import settings, usable
from server.accounts.store import connect


@click.command()
def migrate() -> None:
    """Bring the database of IMAGEEDIT_DATABASE_URL to the version of this program.

    A database in a file is brought there by `imageedit serve` itself. One that is shared waits for
    this command: run it once after an update, before the services start; twice does no harm.
    """
    with usable():
        store = connect(settings().database_url)
        try:
            store.migrate()
        finally:
            store.close()
    click.echo("the database is of this version", err=True)
