"""End users that are blocked: at once, for their account alone."""

from __future__ import annotations

import uuid

import pytest
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError

from server.accounts.keys import Keys
from server.accounts.store import Store, connect
from server.accounts.users import BlockedUser, Users

pytest_plugins = ("tests.databases",)

NAMES = ["x", "user-1234", "someone@example.org", "é" * 512, " ", "'; DROP TABLE keys; --", "\n"]


def account(store: Store) -> str:
    keys = Keys(store, lambda: 1, lambda: str(uuid.uuid4()))
    return keys.create("tests")[0].account_id


@pytest.mark.parametrize("name", NAMES)
def test_a_block_holds_until_it_is_lifted(store: Store, name: str) -> None:
    users, ours = Users(store, lambda: 1_000), account(store)
    assert users.is_blocked(ours, name) is False
    assert users.block(ours, name) is True
    assert users.block(ours, name) is False
    assert users.is_blocked(ours, name) is True
    assert users.list(ours) == [BlockedUser(name, 1_000)]
    assert users.unblock(ours, name) is True
    assert users.unblock(ours, name) is False
    assert users.is_blocked(ours, name) is False
    assert users.list(ours) == []


def test_a_block_is_an_accounts_own_and_to_the_letter(store: Store) -> None:
    users, ours, theirs = Users(store, lambda: 1_000), account(store), account(store)
    users.block(ours, "Mallory")
    for account_id, name in (
        (theirs, "Mallory"),
        (ours, "mallory"),
        (ours, "Mallory "),
        (ours, ""),
    ):
        assert users.is_blocked(account_id, name) is False
    assert users.list(theirs) == []


def test_another_process_sees_it_at_once(database_url: str) -> None:
    here, there = connect(database_url), connect(database_url)
    ours = account(here)
    Users(here, lambda: 1).block(ours, "x")
    assert Users(there, lambda: 1).is_blocked(ours, "x")
    Users(here, lambda: 1).unblock(ours, "x")
    assert not Users(there, lambda: 1).is_blocked(ours, "x")
    here.close()
    there.close()


def test_nobody_is_not_looked_up(store: Store) -> None:
    statements: list[str] = []
    event.listen(store.engine, "before_cursor_execute", lambda *all_: statements.append(all_[2]))
    assert Users(store, lambda: 1).is_blocked("account", "") is False
    assert statements == []


def test_an_account_that_is_not_there_blocks_nobody(store: Store) -> None:
    with pytest.raises(IntegrityError):
        Users(store, lambda: 1).block("nobody", "x")
