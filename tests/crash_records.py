"""What the database and the upstream know of the edits that a crash interrupted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from sqlalchemy import ColumnElement, Row, func, select

from sandbox.server import SandboxServer
from server.accounts.schema import edits
from server.accounts.store import Store
from tests.databases import sqlite_url
from tests.running import eventually

BACK_WITHIN = 6.0  # seconds after the restart: the promise is 5, the rest is for a busy machine
LIVE: ColumnElement[bool] = edits.c.state.in_(["held", "submitted"])


def database(kind: str, request: pytest.FixtureRequest) -> str:
    """Return the URL of a migrated, empty database; the test's own, "sqlite" or "postgresql"."""
    if kind == "postgresql":
        url: str = request.getfixturevalue("postgres").migrated()
        return url
    return sqlite_url(request.getfixturevalue("tmp_path"))


def rows(store: Store, user: str) -> Sequence[Row[tuple[object, ...]]]:
    """Return the edits of `user`, the oldest first."""
    with store.read() as connection:
        return connection.execute(
            select(edits).where(edits.c.user == user).order_by(edits.c.created)
        ).all()


def under_way(store: Store) -> int:
    """Return how many edits have not ended."""
    with store.read() as connection:
        return connection.scalar(select(func.count()).select_from(edits).where(LIVE)) or 0


def all_end(store: Store, edit_ids: set[str]) -> bool:
    """Tell whether all of these edits end in the promised time."""
    left = select(edits.c.id).where(LIVE, edits.c.id.in_(edit_ids))

    def ended() -> bool:
        with store.read() as connection:
            return connection.execute(left).first() is None

    return eventually(ended, BACK_WITHIN)


def calls_of(sandbox: SandboxServer, user: str) -> list[int | None]:
    """Return the statuses that the upstream gave to the calls of `user`."""
    return [
        call.status
        for call in sandbox.calls
        if str(call.fields.get("prompt", "")).partition(" [")[0].removeprefix("sepia ") == user
    ]


@contextmanager
def no_commits(store: Store) -> Iterator[None]:
    """Let nobody else write while the block lasts."""
    with store.write() as connection:
        if not store.embedded:
            connection.exec_driver_sql("LOCK TABLE edits IN EXCLUSIVE MODE")
        yield
