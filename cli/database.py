"""The database of the admin commands, opened for one of them and closed, and how it may fail."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import click
from sqlalchemy.exc import DBAPIError

from server.accounts.keys import Keys
from server.accounts.ledger import Ledger
from server.accounts.store import SchemaError, Store, open_store, unusable
from server.domain import EditError
from server.settings import Settings, SettingsError, read_settings


def settings() -> Settings:
    """Return the service's settings; those that are not usable end the command."""
    try:
        return read_settings(os.environ)
    except SettingsError as error:
        raise click.UsageError(str(error)) from None


@contextmanager
def usable() -> Iterator[None]:
    """End the command with one line where the database is not there or not of this version."""
    try:
        yield
    except SchemaError as error:
        raise click.ClickException(str(error)) from None
    except (DBAPIError, EditError) as error:
        raise click.ClickException(unusable(error)) from None


@contextmanager
def database() -> Iterator[Store]:
    """Yield the database that IMAGEEDIT_DATABASE_URL names."""
    url = settings().database_url
    with usable():
        store = open_store(url)
        try:
            yield store
        finally:
            store.close()


def keys_of(store: Store) -> Keys:
    """Return the keys in the database."""
    return Keys(store, clock, new_id)


def ledger_of(store: Store) -> Ledger:
    """Return the ledger in the database, for one who owns no edits."""
    return Ledger(store, owner="", clock=clock, new_id=new_id)


def account_of(store: Store, key_id: str) -> str:
    """Return the account of a key, live or not; an id that is not there ends the command."""
    try:
        return keys_of(store).find(key_id).account_id
    except LookupError as error:
        raise click.ClickException(f"{error.args[0]} `imageedit keys list` shows them.") from None


def clock() -> int:
    """Return Unix milliseconds."""
    return time.time_ns() // 1_000_000


def new_id() -> str:
    """Return a new UUID."""
    return str(uuid.uuid4())
