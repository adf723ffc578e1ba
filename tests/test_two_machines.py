"""Two fronts and two services on one PostgreSQL and one Redis, balanced by the fronts' channels.

One service is killed in mid-edit: nothing is lost.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from sqlalchemy import func, select

from sandbox.server import SandboxServer
from server.accounts.audit import audit
from server.accounts.keys import Key
from server.accounts.schema import accounts, edits
from server.accounts.store import Store, connect
from tests.crash_records import calls_of, rows, under_way
from tests.databases import Postgres
from tests.edits import IMAGE
from tests.paid_keys import PLENTY, paid_key
from tests.programs import Program, program
from tests.redis_server import Redis
from tests.running import eventually
from tests.scrapes import Samples, scrape

pytest_plugins = ("tests.databases", "tests.redis_server")

RATE_LIMIT = 1_000
FILES = {"image": ("x.png", IMAGE)}


@dataclass
class Machines:
    """What runs: services, the fronts' addresses, the store that all share, a live key."""

    services: list[Program]
    urls: list[str]
    store: Store
    key: Key
    secret: str

    def edit(self, number: int, delay: float = 0.0) -> requests.Response:
        """Ask one of the fronts; a number is asked for once, however often it is repeated."""
        user = f"user{number}"
        prompt = f"sepia {user} [sandbox delay={delay}]"
        return requests.post(
            f"{self.urls[number % 2]}/v1/images/edits",
            data={"model": "openai/gpt-image-1.5", "prompt": prompt, "user": user},
            files=FILES,
            headers={"authorization": f"Bearer {self.secret}", "idempotency-key": user},
            timeout=60,
        )

    def owners(self) -> dict[str, int]:
        """Return how many sent edits each service has under way."""
        count = (
            select(edits.c.owner, func.count())
            .where(edits.c.state == "submitted")
            .group_by(edits.c.owner)
        )
        with self.store.read() as connection:
            return dict(connection.execute(count).all())


@pytest.fixture
def machines(
    sandbox: SandboxServer, postgres: Postgres, redis_server: Redis, tmp_path: Path
) -> Iterator[Machines]:
    sandbox.forget_calls()
    database = postgres.migrated()
    with ExitStack() as stack:
        store = connect(database)
        stack.callback(store.close)
        key, secret = paid_key(store, rate_limit=RATE_LIMIT)
        environment = sandbox.environment() | {
            "IMAGEEDIT_DATABASE_URL": database,
            "IMAGEEDIT_REDIS_URL": redis_server.url,
            "IMAGEEDIT_GRPC_ADDRESS": "127.0.0.1:0",
            "IMAGEEDIT_HTTP_ADDRESS": "127.0.0.1:0",
            "IMAGEEDIT_METRICS_ADDRESS": "127.0.0.1:0",
        }

        def run(name: str) -> Program:
            started = program("-m", name, environment=environment, folder=tmp_path)
            return stack.enter_context(started)

        services = [run("server") for _ in range(2)]
        listening = [str(service.event("listening")["address"]) for service in services]
        environment["IMAGEEDIT_GRPC_ADDRESS"] = f"ipv4:{','.join(listening)}"
        fronts = [run("gateway_http") for _ in range(2)]
        ports = [json.loads(one.wait_for('"event":"listening"'))["port"] for one in fronts]
        urls = [f"http://127.0.0.1:{port}" for port in ports]
        yield Machines(services, urls, store, key, secret)


def test_a_service_that_is_killed_in_mid_edit_loses_nothing(
    machines: Machines, sandbox: SandboxServer
) -> None:
    store, numbers = machines.store, range(8)
    assert machines.edit(100).status_code == 200  # both channels are connected from here on
    assert machines.edit(101).status_code == 200
    with ThreadPoolExecutor(len(numbers)) as pool:
        asked = [pool.submit(machines.edit, number, 3) for number in numbers]
        assert eventually(lambda: sum(machines.owners().values()) == len(numbers), 20)
        shares = machines.owners()
        assert len(shares) == 2, "all went to one service"
        away = _fallbacks(machines.services[0])
        machines.services[0].process.kill()
        ended = {number: _status(future) for number, future in zip(numbers, asked, strict=True)}

        broken = [number for number, status in ended.items() if status != 200]
        assert len(broken) in shares.values()
        assert {ended[number] for number in broken} == {502}
        # While the other service stands, so do both fronts.
        for url in machines.urls:
            assert requests.get(f"{url}/readyz", timeout=5).status_code == 200
        repeats = list(pool.map(machines.edit, broken, [3] * len(broken)))

    assert [answer.status_code for answer in repeats] == [200] * len(broken)
    assert eventually(lambda: under_way(store) == 0, 10)
    assert audit(store) == []
    for number in numbers:
        states = [row.state for row in rows(store, f"user{number}")]
        assert states == (["unknown", "posted"] if number in broken else ["posted"]), number
        assert len(calls_of(sandbox, f"user{number}")) == len(states)
    with store.read() as connection:
        account = connection.execute(
            select(accounts).where(accounts.c.id == machines.key.account_id)
        ).one()
        cost, loss = connection.execute(
            select(func.sum(edits.c.cost), func.sum(edits.c.loss))
        ).one()
    assert (account.held, account.posted) == (0, PLENTY - cost)
    _check_metrics(machines, swept=len(broken), loss=loss)

    # One limit for all: every edit was counted, by whichever service.
    spent = RATE_LIMIT - int(machines.edit(102).headers["X-RateLimit-Remaining"])
    away += _fallbacks(machines.services[1])  # where the machine was too busy for Redis
    due = len(numbers) + len(broken) + 2  # told before that edit itself is counted
    assert due - away <= spent <= due


def _status(answer: Future[requests.Response]) -> int:
    return answer.result().status_code


def _page(service: Program) -> Samples:
    return scrape(str(service.event("listening")["metrics"]))


def _fallbacks(service: Program) -> float:
    return _page(service)[("imageedit_limits_fallbacks_total", ())]


def _check_metrics(machines: Machines, *, swept: int, loss: int) -> None:
    page = _page(machines.services[1])
    assert page[("imageedit_holds_swept_total", ())] == swept
    assert page[("imageedit_money_lost_nanodollars_total", ())] == loss > 0
    assert page[("imageedit_money_held_nanodollars", ())] == 0
