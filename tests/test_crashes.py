"""kill -9 with callers at every point of an edit's way: the crash matrix, row by row."""

from __future__ import annotations

import base64
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
import requests
from sqlalchemy import func, select

from sandbox.server import SandboxServer
from server.accounts.audit import audit
from server.accounts.results import Results
from server.accounts.schema import accounts, edits, entries
from server.accounts.store import Store, connect
from tests import whole
from tests.crash_records import all_end, calls_of, database, no_commits, rows
from tests.fault_upstream import FaultUpstream, silent
from tests.interrupted import POINTS, WAYS, Callers, Interrupted, prepared
from tests.paid_keys import PLENTY, now, paid_key
from tests.running import eventually
from tests.stations import Station

pytest_plugins = ("tests.databases",)

INTERRUPTED = [
    Interrupted(point, way)
    for number, point in enumerate(POINTS)
    # Large pictures take their time: in a part, each is repeated in one way.
    for way in whole.of(WAYS, WAYS[number % 2 :][:1] if point.large else WAYS)
]


def take_to_their_points(store: Store, sandbox: SandboxServer, callers: Callers) -> None:
    """Return with every interrupted edit at its point."""
    # A handshake is waited for ten seconds only, so these go last.
    ordered = sorted(INTERRUPTED, key=lambda one: one.point.name in {"held", "answered"})
    for interrupted in ordered:
        callers.call(interrupted)
    for interrupted in INTERRUPTED:
        point, label = interrupted.point, interrupted.label
        wanted = [point.before] if point.before else []
        there = eventually(partial(is_at, store, label, wanted), 10)
        assert there, label


def is_at(store: Store, label: str, states: list[str]) -> bool:
    return [row.state for row in rows(store, label)] == states


def wait_until_answered(sandbox: SandboxServer) -> None:
    labels = [one.label for one in INTERRUPTED if one.point.name == "answered"]
    assert eventually(lambda: [calls_of(sandbox, label) for label in labels] == [[200]] * 2, 10)
    time.sleep(0.3)  # the service reads a small answer, and then waits for the database


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_every_point_of_the_crash_matrix(
    kind: str, request: pytest.FixtureRequest, sandbox: SandboxServer, tmp_path: Path
) -> None:
    """One kill, with callers at every point; a restart, or another service, takes over."""
    url = database(kind, request)
    sandbox.forget_calls()
    with ExitStack() as stack:
        deaf = stack.enter_context(FaultUpstream(silent))
        store = connect(url)
        stack.callback(store.close)
        store.open()
        key, secret = paid_key(store)
        authorization = {"authorization": f"Bearer {secret}"}
        healthy = sandbox.environment()
        half_deaf = {"SILICONFLOW_BASE_URL": f"https://127.0.0.1:{deaf.port}/v1"}
        killed = stack.enter_context(Station(url, healthy | half_deaf, tmp_path))
        other = killed
        if kind == "postgresql":
            other = stack.enter_context(Station(url, healthy, tmp_path))

        with Callers(killed.address, killed.url, authorization) as callers:
            take_to_their_points(store, sandbox, callers)
            with no_commits(store):
                wait_until_answered(sandbox)
                killed.kill()
        assert audit(store) == []
        left = {one.label: rows(store, one.label) for one in INTERRUPTED}
        told = {label: [row.state for row in found] for label, found in left.items()}
        assert told == {
            one.label: [one.point.before] if one.point.before else [] for one in INTERRUPTED
        }
        delivered = [label for label, found in left.items() if found and found[0].delivered]
        assert delivered == []
        for one in INTERRUPTED:
            assert len(calls_of(sandbox, one.label)) == one.point.calls, one.label

        if other is killed:
            other.spawn(**healthy)
            other.wait()
        since = time.monotonic()

        def repeat(one: Interrupted) -> requests.Response:
            headers = authorization | one.repeated
            with requests.Session() as session:
                return session.send(prepared(other.url, one.edit, headers), timeout=30)

        with ThreadPoolExecutor(len(INTERRUPTED)) as pool:
            # At once: what is not resolved yet must be waited for, not run beside.
            repeats = [pool.submit(repeat, one) for one in INTERRUPTED]
            held = {found[0].id for found in left.values() if found}

            assert all_end(store, held)
            print(f"{kind}: holds were back {time.monotonic() - since:.2f} s later")
            answers = [future.result() for future in repeats]

        for one, answer in zip(INTERRUPTED, answers, strict=True):
            check_end(one, answer, store, sandbox)
        assert audit(store) == []
        with store.read() as connection:
            account = connection.execute(
                select(accounts).where(accounts.c.id == key.account_id)
            ).one()
            cost = connection.scalar(select(func.sum(edits.c.cost)))
        assert (account.held, account.posted) == (0, PLENTY - (cost or 0))


def check_end(
    one: Interrupted, answer: requests.Response, store: Store, sandbox: SandboxServer
) -> None:
    """The original ended as the matrix says, the repeat has its picture, one edit is paid."""
    point = one.point
    assert answer.status_code == 200, (one.label, answer.text[:500])
    assert (answer.headers.get("idempotent-replayed") == "true") == point.replayed, one.label
    found = rows(store, one.label)
    ends = [point.after] if point.after else []
    assert [row.state for row in found] == ends + ([] if point.replayed else ["posted"]), one.label
    assert len(calls_of(sandbox, one.label)) == point.calls + (not point.replayed), one.label
    with store.read() as connection:
        booked = connection.execute(
            select(entries.c.edit_id, entries.c.kind, entries.c.event)
            .where(entries.c.edit_id.in_([row.id for row in found]))
            .distinct()
        ).all()
    kinds = {"posted": "post", "voided": "void", "unknown": "unknown"}
    assert sorted((row.edit_id, row.kind) for row in booked) == sorted(
        (row.id, kind) for row in found for kind in ("hold", kinds[row.state])
    ), one.label
    paid = found[-1]
    assert paid.outcome == "delivered"
    assert paid.cost > 0
    assert answer.json()["usage"]["cost"] == paid.cost / 10**9
    stored = Results(store, clock=now).load(paid.id)
    assert stored is not None
    assert base64.b64decode(answer.json()["data"][0]["b64_json"]) == stored.picture
    if not point.replayed and point.after:
        lost = found[0]
        assert (lost.outcome, lost.cost) == ("lost", 0)
        assert lost.loss == (lost.hold if point.after == "unknown" else 0)
