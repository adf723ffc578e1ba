"""`imageedit users`: refuse the edits of single end users, as requests name them in `user`."""

from __future__ import annotations

import click

from cli.database import account_of, clock, database
from cli.values import show_moment, shown_text
from server.accounts.users import Users
from server.domain import MAX_USER_CHARACTERS


@click.group()
def users() -> None:
    """Block end users of an account, in the database of IMAGEEDIT_DATABASE_URL.

    An end user is who a request names in its field `user` (or `safety_identifier`). A block holds
    for all keys of the account at once, and in every process.

    \b
    imageedit users block KEY_ID user-1234
    imageedit users list KEY_ID
    imageedit users unblock KEY_ID user-1234
    """


def _user(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    text = value.encode(errors="ignore").decode()  # what is no UTF-8 comes as lone surrogates
    if value != text or not 0 < len(value) <= MAX_USER_CHARACTERS:
        raise click.BadParameter(f"must have 1 to {MAX_USER_CHARACTERS} characters, in UTF-8")
    return value


@users.command()
@click.argument("key_id")
@click.argument("user", callback=_user)
def block(key_id: str, user: str) -> None:
    """Refuse the edits of USER under the account of KEY_ID."""
    with database() as store:
        new = Users(store, clock).block(account_of(store, key_id), user)
    click.echo(f"blocked {shown_text(user)}" if new else "was blocked already", err=True)


@users.command()
@click.argument("key_id")
@click.argument("user", callback=_user)
def unblock(key_id: str, user: str) -> None:
    """Take the edits of USER under the account of KEY_ID again."""
    with database() as store:
        if not Users(store, clock).unblock(account_of(store, key_id), user):
            raise click.ClickException(f'"{shown_text(user)}" is not blocked.')
    click.echo(f"unblocked {shown_text(user)}", err=True)


@users.command("list")
@click.argument("key_id")
def list_users(key_id: str) -> None:
    """List the blocked users of the account of KEY_ID: since when (UTC), and who."""
    with database() as store:
        for blocked in Users(store, clock).list(account_of(store, key_id)):
            click.echo(f"{show_moment(blocked.created)}  {shown_text(blocked.user)}")
