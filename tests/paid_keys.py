"""Keys with credit for tests."""

from __future__ import annotations

import time
import uuid

from server.accounts.keys import Key, Keys
from server.accounts.ledger import Ledger
from server.accounts.store import Store, open_store

PLENTY = 10**15  # a million dollars


def now() -> int:
    """Return Unix milliseconds."""
    return time.time_ns() // 1_000_000


def new_id() -> str:
    """Return a new UUID."""
    return str(uuid.uuid4())


def keys_in(store: Store) -> Keys:
    """Return the keys of a store."""
    return Keys(store, now, new_id)


def paid_key(
    store: Store, *, credit: int = PLENTY, rate_limit: int = 1_000_000, concurrency: int = 10_000
) -> tuple[Key, str]:
    """Return a new key of an account with `credit` nano-dollars."""
    key, secret = keys_in(store).create("tests", rate_limit=rate_limit, concurrency=concurrency)
    if credit:
        Ledger(store, owner="tests", clock=now, new_id=new_id).top_up(key.account_id, credit)
    return key, secret


def paid_secret(database_url: str) -> str:
    """Return a key, alone, that is good for all a test does."""
    store = open_store(database_url)
    secret = paid_key(store)[1]
    store.close()
    return secret
