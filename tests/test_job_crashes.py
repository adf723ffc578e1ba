"""kill -9 of the front and of the service while jobs are under way: none is lost or paid twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from sandbox.server import SandboxServer
from server.accounts.audit import audit
from server.accounts.store import Store, connect
from tests.crash_records import BACK_WITHIN, calls_of, database, rows
from tests.edits import Edit
from tests.fault_upstream import FaultUpstream, silent
from tests.job_calls import Jobs
from tests.paid_keys import paid_key
from tests.running import eventually
from tests.stations import Station

pytest_plugins = ("tests.databases",)

UNSENT_MODEL = "black-forest-labs/flux-kontext-dev"  # its vendor never ends the handshake
STOPPED = "The service stopped "


@contextmanager
def station(
    kind: str, request: pytest.FixtureRequest, sandbox: SandboxServer, folder: Path
) -> Iterator[tuple[Station, Store, Jobs]]:
    """Give the programs on a database, the database, and the jobs of its one key."""
    url = database(kind, request)
    with ExitStack() as stack:
        deaf = stack.enter_context(FaultUpstream(silent))
        store = connect(url)
        stack.callback(store.close)
        store.open()
        _, secret = paid_key(store)
        environment = sandbox.environment() | {
            "SILICONFLOW_BASE_URL": f"https://127.0.0.1:{deaf.port}/v1"
        }
        running = stack.enter_context(Station(url, environment, folder))
        yield running, store, Jobs(running.url, secret)
        assert audit(store) == []


def named(label: str, words: str = "", **fields: str) -> Edit:
    """Return an edit whose row and whose upstream calls are known by `label`."""
    return Edit({"prompt": f"sepia {label} {words}".strip(), "user": label, **fields})


def test_a_killed_front_loses_no_job(
    request: pytest.FixtureRequest, sandbox: SandboxServer, tmp_path: Path
) -> None:
    sandbox.forget_calls()
    with station("sqlite", request, sandbox, tmp_path) as (programs, store, jobs):
        words = named("front", "[sandbox delay=2]")
        job_id = jobs.start(words, Idempotency_Key="front")
        assert eventually(lambda: len(calls_of(sandbox, "front")) == 1)
        programs.kill_front()
        after = Jobs(programs.start_front(), jobs.key)
        again = after.post(words, Idempotency_Key="front")
        assert (again.status_code, again.json()["id"]) == (202, job_id)
        told = after.ended(job_id)
        assert told["status"] == "succeeded"
        assert after.content(job_id).status_code == 200
        assert calls_of(sandbox, "front") == [200]
        (row,) = rows(store, "front")
        assert (row.state, row.cost > 0, row.loss) == ("posted", True, 0)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_killed_service_leaves_what_the_ledger_says(
    kind: str, request: pytest.FixtureRequest, sandbox: SandboxServer, tmp_path: Path
) -> None:
    sandbox.forget_calls()
    with station(kind, request, sandbox, tmp_path) as (programs, store, jobs):
        done = jobs.start(named("done"))
        assert jobs.ended(done)["status"] == "succeeded"
        picture = jobs.content(done).content
        sent = named("sent", "[sandbox delay=60 first=1]")
        ids = {
            "sent": jobs.start(sent, Idempotency_Key="sent"),
            "cancelled": jobs.start(named("cancelled", "[sandbox delay=60]")),
            "unsent": jobs.start(named("unsent", model=UNSENT_MODEL)),
        }
        for label in ("sent", "cancelled"):
            assert eventually(lambda label=label: len(calls_of(sandbox, label)) == 1)  # type: ignore[misc]
        assert jobs.delete(ids["cancelled"]).status_code == 202
        programs.kill()
        assert jobs.get(done).status_code == 503, "nobody is there to ask"
        programs.spawn()
        programs.wait()

        assert eventually(lambda: jobs.get(done).status_code == 200, 10)
        assert jobs.content(done).content == picture
        repeat = jobs.post(sent, Idempotency_Key="sent")
        assert repeat.status_code == 202
        for label, job_id in ids.items():
            told = jobs.ended(job_id, BACK_WITHIN)
            assert told["status"] == "failed", label
            assert told["error"]["code"] == "upstream_error"
            assert told["error"]["message"].startswith(STOPPED)
            assert "nothing was charged" in told["error"]["message"]
            assert jobs.get(job_id).json() == told, "told the same however often it is asked"
            (row,) = [one for one in rows(store, label) if one.id == job_id]
            state = "voided" if label == "unsent" else "unknown"
            assert (row.state, row.cost) == (state, 0), label

        # At once, the repeat found the job that was not swept yet; now its key is given back.
        again = repeat.json()["id"]
        if again == ids["sent"]:
            again = jobs.start(sent, Idempotency_Key="sent")
        assert again != ids["sent"]
        assert jobs.ended(again)["status"] == "succeeded"
        assert len(calls_of(sandbox, "sent")) == 2
        posted = [row for row in rows(store, "sent") if row.state == "posted"]
        assert [row.id for row in posted] == [again]
        assert posted[0].cost > 0
