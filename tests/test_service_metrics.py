"""The service's metrics: every way an edit ends is counted once, with money, and nothing told."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
import requests
from prometheus_client import CollectorRegistry, generate_latest

from sandbox.server import SandboxServer
from server.accounts.limits import Limits
from server.accounts.store import Store, connect
from server.accounts.sweeper import sweep
from server.admission import Admission
from server.held_money import HeldMoney
from server.metrics_page import MetricsPage
from server.metrics_state import State
from tests.account_workers import key
from tests.databases import sqlite_url
from tests.edits import Edit, by_grpc, by_http, by_stream
from tests.ledgers import DELIVERED, FAILED, Bank
from tests.running import Gateway, eventually
from tests.scrapes import Samples, grown, read, scrape

OPENAI = "openai/gpt-image-1.5"
ROUTE = "openai:gpt-image-1.5"


@pytest.fixture(scope="module")
def gateway(sandbox: SandboxServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    environment = sandbox.environment() | {"IMAGEEDIT_METRICS_ADDRESS": "127.0.0.1:0"}
    with Gateway(environment, tmp_path_factory.mktemp("metrics")) as running:
        yield running


def now(gateway: Gateway) -> Samples:
    return read(gateway.service.metrics.registry)


# model, prompt, labels of the edit (attempt, model, outcome), outcomes of attempts by route
ENDS = [
    (OPENAI, "sepia", ("delivered", OPENAI, "delivered"), {("delivered", ROUTE): 1}),
    (
        OPENAI,
        "sepia [sandbox error400]",
        ("unbilled", OPENAI, "bad_request"),
        {("bad_request", ROUTE): 1},
    ),
    (
        OPENAI,
        "sepia [sandbox close]",
        ("unknown", OPENAI, "upstream_failed"),
        {("upstream_failed", ROUTE): 1},
    ),
    (OPENAI, "", ("none", OPENAI, "bad_request"), {}),
    ("acme/secret-thing", "sepia", ("none", "unknown", "model_mismatch"), {}),
]


@pytest.mark.parametrize(("model", "prompt", "ended", "attempts"), ENDS, ids=str)
def test_every_end_is_counted_once(
    gateway: Gateway,
    model: str,
    prompt: str,
    ended: tuple[str, str, str],
    attempts: dict[tuple[str, str], float],
) -> None:
    before = now(gateway)
    by_http(gateway, Edit({"model": model, "prompt": prompt}))
    after = now(gateway)
    assert grown(before, after, "imageedit_edits_total") == {ended: 1}
    assert grown(before, after, "imageedit_attempts_total") == attempts
    took = {(route,): count for (_, route), count in attempts.items()}
    assert grown(before, after, "imageedit_attempt_seconds_count") == took
    lost = grown(before, after, "imageedit_money_lost_nanodollars_total")
    assert bool(lost) == (ended[0] == "unknown")


def test_an_attempt_that_takes_all_its_time_is_counted_with_it(
    sandbox: SandboxServer, tmp_path: Path
) -> None:
    environment = sandbox.environment() | {"IMAGEEDIT_ATTEMPT_TIMEOUT": "1"}
    with Gateway(environment, tmp_path) as gateway:
        assert by_http(gateway, Edit({"prompt": "sepia [sandbox silent]"})).status_code == 504
        found = now(gateway)
    assert grown({}, found, "imageedit_edits_total") == {("unknown", OPENAI, "upstream_timeout"): 1}
    assert grown({}, found, "imageedit_attempts_total") == {("upstream_timeout", ROUTE): 1}
    assert grown({}, found, "imageedit_attempt_seconds_sum")[(ROUTE,)] >= 1
    assert grown({}, found, "imageedit_edit_seconds_sum")[(OPENAI,)] >= 1
    assert grown({}, found, "imageedit_money_lost_nanodollars_total")[()] > 0


def test_a_streamed_edit_is_counted_in_its_own_thread(gateway: Gateway) -> None:
    before = now(gateway)
    by_stream(gateway, Edit())
    ended = grown(before, now(gateway), "imageedit_edits_total")
    assert ended == {("delivered", OPENAI, "delivered"): 1}


def test_money_and_bytes_are_those_of_the_answer(gateway: Gateway) -> None:
    before = now(gateway)
    answer = by_grpc(gateway, Edit())
    after = now(gateway)
    name = "imageedit_money_posted_nanodollars_total"
    assert grown(before, after, name) == {(): answer.usage.cost_nanos}
    moved = grown(before, after, "imageedit_rpc_bytes_total")
    assert moved[("sent",)] == len(answer.image.data)
    assert moved[("received",)] == len(Edit().images[0])
    assert grown(before, after, "imageedit_rpcs_total")[("OK", "EditImage", "")] == 1
    assert grown(before, after, "imageedit_rpc_seconds_count")[("EditImage",)] == 1
    assert grown(before, after, "imageedit_edit_seconds_count") == {(OPENAI,): 1}


def test_a_replay_is_told_from_an_edit(gateway: Gateway) -> None:
    headers = gateway.authorization | {"idempotency-key": "a-replay"}
    files = {"image": ("x.png", Edit().images[0])}
    url, data = f"{gateway.url}/v1/images/edits", Edit().texts()
    first = requests.post(url, data=data, files=files, headers=headers, timeout=30)
    before = now(gateway)
    second = requests.post(url, data=data, files=files, headers=headers, timeout=30)
    assert (first.status_code, second.headers["idempotent-replayed"]) == (200, "true")
    after = now(gateway)
    assert grown(before, after, "imageedit_edits_total") == {("replayed", OPENAI, "delivered"): 1}
    assert grown(before, after, "imageedit_money_posted_nanodollars_total") == {}
    assert grown(before, after, "imageedit_edit_seconds_count") == {}


def test_refusals_have_their_reason(gateway: Gateway) -> None:
    before = now(gateway)
    by_http(gateway, Edit(key="ie_wrong"))
    ended = grown(before, now(gateway), "imageedit_rpcs_total")
    assert ("UNAUTHENTICATED", "EditImage", "INVALID_API_KEY") in ended or (
        "UNAUTHENTICATED",
        "CheckKey",
        "INVALID_API_KEY",
    ) in ended


def test_what_is_held_shows_while_it_is_held(gateway: Gateway) -> None:
    def held(name: str) -> float:
        return now(gateway)[(name, ())]

    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(by_http, gateway, Edit({"prompt": "sepia [sandbox delay=1]"}))
        assert eventually(lambda: held("imageedit_money_held_nanodollars") > 0)
        assert held("imageedit_edits_held") == 1
        assert slow.result().status_code == 200
    assert held("imageedit_edits_held") == 0
    assert held("imageedit_money_held_nanodollars") == 0
    assert held("imageedit_edits_capacity") == 256
    assert held("imageedit_threads") > 1
    assert held("process_open_fds") > 1


def test_the_page_is_served_past_a_scraper_that_hangs_and_tells_no_secret(
    gateway: Gateway,
) -> None:
    page = gateway.service.metrics_page
    assert page is not None
    host, _, port = page.address.rpartition(":")
    by_http(gateway, Edit({"prompt": "a-secret-wish", "user": "a-secret-user"}))
    with socket.create_connection((host, int(port))) as hanging:
        hanging.sendall(b"GET /metrics HTTP/1.1\r\nHost:")
        assert scrape(page.address)[("imageedit_edits_capacity", ())] == 256
    text = requests.get(f"http://{page.address}/metrics", timeout=5).text
    for secret in (gateway.key, "a-secret-wish", "a-secret-user", "secret-thing", gateway.key_id):
        assert secret not in text


def test_a_scraper_that_hangs_does_not_hold_up_the_end() -> None:
    page = MetricsPage("127.0.0.1:0", CollectorRegistry())
    host, _, port = page.address.rpartition(":")
    with socket.create_connection((host, int(port))) as hanging:
        hanging.sendall(b"GET /metrics HTTP/1.1\r\n")
        began = time.monotonic()
        page.close()
        assert time.monotonic() - began < 3


def test_an_address_that_is_taken_is_named() -> None:
    page = MetricsPage("127.0.0.1:0", CollectorRegistry())
    with pytest.raises(OSError, match=f"IMAGEEDIT_METRICS_ADDRESS.*{page.address}"):
        MetricsPage(page.address, CollectorRegistry())
    page.close()


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    store = connect(sqlite_url(tmp_path))
    store.migrate()
    yield Bank(store)
    store.close()


def held_edit(bank: Bank, owner: str, *, submitted: bool) -> str:
    ledger, account = bank.ledger(owner), bank.account(1_000)
    order = bank.order(account, bank.key(account))
    ledger.hold(order)
    if submitted:
        ledger.submit(order.edit_id)
    return order.edit_id


def test_overruns_losses_and_sweeps_are_summed(bank: Bank) -> None:
    bank.ledger().post(held_edit(bank, "me", submitted=True), 130, DELIVERED)
    bank.ledger().unknown(held_edit(bank, "me", submitted=True), 60, FAILED)
    assert bank.ledger().unknown("nobody's", 60, FAILED) is False
    held_edit(bank, "dead", submitted=True)
    held_edit(bank, "dead", submitted=False)
    bank.now += 60_000
    assert sweep(bank.store, bank.clock, bank.new_id) == 2
    expected = {"posted": 100, "overrun": 30, "lost": 160, "swept": 2, "unreachable": 0}
    assert bank.store.tally.read() == expected


def state(store: Store, routes: dict[str, str], redis_url: str | None = None) -> State:
    limits = Limits(lambda: 0, redis_url=redis_url)
    limits.peek(key())
    limits.close()
    return State(Admission(3, 10**9), store.tally, HeldMoney(store, 0.2), limits, lambda: routes)


def test_trouble_is_counted_and_a_store_that_is_gone_takes_nothing_along(bank: Bank) -> None:
    registry = CollectorRegistry()
    gone = connect("postgresql://nobody@/nothing?host=/nonexistent")
    registry.register(state(gone, {}, "redis://127.0.0.1:1/0"))
    found = read(registry)
    assert ("imageedit_money_held_nanodollars", ()) not in found
    assert read(registry)[("imageedit_store_failures_total", ())] >= 1
    assert found[("imageedit_limits_fallbacks_total", ())] == 1
    assert found[("imageedit_edits_capacity", ())] == 3


def test_a_database_that_hangs_costs_a_scrape_its_patience_and_no_threads(bank: Bank) -> None:
    let_go = Event()

    class Hanging(Store):
        def read(self) -> object:  # type: ignore[override]
            let_go.wait(10)
            return super().read()

    held = HeldMoney(Hanging(bank.store.engine), 0.1)
    began = time.monotonic()
    assert [held.read() for _ in range(3)] == [None] * 3
    assert time.monotonic() - began < 1
    let_go.set()
    assert eventually(lambda: held.read() == 0)


def test_breakers_show_one_state_each(bank: Bank) -> None:
    registry = CollectorRegistry()
    registry.register(state(bank.store, {"openai:a": "open", "openrouter:b": "closed"}))
    text = generate_latest(registry).decode()
    lit = [line for line in text.splitlines() if "breaker_state{" in line and line.endswith(" 1.0")]
    assert lit == [
        'imageedit_breaker_state{route="openai:a",state="open"} 1.0',
        'imageedit_breaker_state{route="openrouter:b",state="closed"} 1.0',
    ]


def test_counting_costs_next_to_nothing(gateway: Gateway) -> None:
    metrics = gateway.service.metrics
    began = time.thread_time()
    for _ in range(1_000):
        metrics.attempt(ROUTE, outcome="delivered", seconds=1.0)
        metrics.edit(OPENAI, outcome="delivered", attempt="delivered", seconds=1.0)
    assert time.thread_time() - began < 0.5  # 10 ms of CPU an edit is what the whole edit takes
