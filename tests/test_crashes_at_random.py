"""kill -9 at moments that nobody chose, while callers go on, and in the middle of a sweep.

IMAGEEDIT_TEST_KILLS says how often the service is killed at a random moment; 50 is the promise.
"""

from __future__ import annotations

import hashlib
import os
import random
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import func, select

from sandbox.server import SandboxServer
from server.accounts.audit import audit
from server.accounts.ledger import Ledger, Order
from server.accounts.results import Results
from server.accounts.schema import accounts, edits
from server.accounts.store import Store, connect
from tests import whole
from tests.crash_callers import keep_calling
from tests.crash_records import BACK_WITHIN, LIVE, all_end, calls_of, database, rows, under_way
from tests.databases import sqlite_url
from tests.paid_keys import PLENTY, new_id, now, paid_key
from tests.running import eventually
from tests.stations import Station

pytest_plugins = ("tests.databases",)

KILLS = int(os.environ.get("IMAGEEDIT_TEST_KILLS", whole.of("5", "3")))


@pytest.mark.timeout(120 + 10 * KILLS)
@pytest.mark.parametrize(("kind", "kills"), [("sqlite", KILLS), ("postgresql", KILLS // 3)])
def test_kills_at_random_moments(
    kind: str,
    kills: int,
    request: pytest.FixtureRequest,
    sandbox: SandboxServer,
    tmp_path: Path,
) -> None:
    url = database(kind, request)
    dice = random.Random(f"{kind} {kills}")  # noqa: S311 -- repeatable, nothing is kept secret
    sandbox.forget_calls()
    with ExitStack() as stack:
        store = connect(url)
        stack.callback(store.close)
        store.open()
        _, secret = paid_key(store)
        station = stack.enter_context(Station(url, sandbox.environment(), tmp_path))
        authorization = {"authorization": f"Bearer {secret}"}
        with keep_calling(station.url, authorization) as answered:
            orphans = 0
            for number in range(kills):
                # Some moments fall into the start, every fifth about the first sweep.
                time.sleep(dice.uniform(4.0, 6.0) if number % 5 == 4 else dice.uniform(0.2, 1.5))
                station.kill()
                assert audit(store) == []
                orphans += under_way(store)
                station.spawn()
            station.wait()
            with store.read() as connection:
                left = set(connection.scalars(select(edits.c.id).where(LIVE)))
            assert all_end(store, left)
        print(
            f"{kind}: {kills} kills, {len(answered.calls)} calls, {answered.broken_off} broken off,"
            f" {answered.replays} replays, {orphans} orphans"
        )
        assert answered.broken_off > 0
        assert orphans > 0
        assert audit(store) == []
        assert under_way(store) == 0
        with store.read() as connection:
            account = connection.execute(select(accounts)).one()
            posted = connection.execute(select(edits).where(edits.c.state == "posted")).all()
        assert (account.held, account.posted) == (0, PLENTY - sum(row.cost for row in posted))
        told = {
            row.user: (hashlib.sha256(picture_of(store, row.id)).hexdigest(), row.cost / 10**9)
            for row in posted
        }
        assert len(told) == len(posted), "a call was paid twice"
        assert told == answered.calls
        for name in answered.calls:
            sent = [row for row in rows(store, name) if row.submitted is not None]
            assert len(calls_of(sandbox, name)) <= len(sent), name


def picture_of(store: Store, edit_id: str) -> bytes:
    stored = Results(store, clock=now).load(edit_id)
    assert stored is not None
    return stored.picture


def test_a_kill_in_the_middle_of_a_sweep(sandbox: SandboxServer, tmp_path: Path) -> None:
    orphans = 200
    with ExitStack() as stack:
        store = connect(sqlite_url(tmp_path))
        stack.callback(store.close)
        store.open()
        key, _ = paid_key(store)
        ledger = Ledger(store, owner="dead", clock=now, new_id=new_id)
        for number in range(orphans):
            edit_id = new_id()
            ledger.hold(Order(edit_id, key.account_id, key.id, "", "a/b", 1_000, "f" * 64))
            if number % 2:
                ledger.submit(edit_id)
        settings = sandbox.environment()
        station = stack.enter_context(Station(sqlite_url(tmp_path), settings, tmp_path))
        assert eventually(lambda: under_way(store) < orphans, BACK_WITHIN)
        station.kill()
        assert 0 < under_way(store) < orphans
        assert audit(store) == []
        station.spawn()
        station.wait()
        assert eventually(lambda: under_way(store) == 0, BACK_WITHIN)
        assert audit(store) == []
        with store.read() as connection:
            count = select(edits.c.state, func.count()).group_by(edits.c.state)
            ends = dict(connection.execute(count).all())
        assert ends == {"voided": orphans / 2, "unknown": orphans / 2}
