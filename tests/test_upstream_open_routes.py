"""A route whose upstream is down: refused in milliseconds, probed by one, and no other is hurt."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from sqlalchemy import Select, select

from server.accounts.schema import edits
from server.upstream.fates import AttemptFailed
from server.upstream.watchdog import Watchdog
from tests.edits import Edit, message, told_by_grpc, told_by_http
from tests.fault_upstream import Behaviour, FaultUpstream, answering, deaf, response
from tests.running import Gateway, eventually
from tests.staged_vendors import MODELS, Errand, Stage, ask, delivering, golden, staged

BREAKER = {"IMAGEEDIT_BREAKER_FAULTS": "5"}
ROUTE = "openai:gpt-image-1.5"


@pytest.fixture
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("stage")) as stage:
        yield stage


def breakers(gateway: Gateway) -> dict[str, str]:
    return dict(gateway.service.attempts.states())


def test_a_route_that_is_down_is_refused_at_once_and_the_others_are_not(stage: Stage) -> None:
    gateway = stage.gateway("openai", "siliconflow", **BREAKER)
    assert set(breakers(gateway).values()) == {"closed"}
    assert {ROUTE, "openai:gpt-image-2", "siliconflow:Qwen/Qwen-Image-Edit"} <= set(
        breakers(gateway)
    )
    stage.play(openai=answering(), siliconflow=delivering("siliconflow"))
    assert [ask(gateway, "openai", f"{n}").status_code for n in range(5)] == [502] * 5
    assert {name for name, state in breakers(gateway).items() if state == "open"} == {ROUTE}
    stage.play(openai=delivering("openai"))
    started = time.monotonic()
    answers = [ask(gateway, "openai", f"again {n}") for n in range(10)]
    assert (time.monotonic() - started) / 10 < 0.5  # both doors, on a machine that others share
    for answer in answers:
        told = told_by_http(answer)
        assert (told.http, told.type, told.code) == (503, "upstream_error", "upstream_error")
        assert told.retry_after is not None
        assert 1 <= told.retry_after <= 36
        assert "x-should-retry" not in answer.headers
    assert stage.vendors["openai"].connections == 0
    assert ask(gateway, "openrouter").status_code == 200  # gpt-image-2, at the same vendor
    assert ask(gateway, "siliconflow").status_code == 200


def test_with_the_first_route_open_the_second_serves(stage: Stage) -> None:
    gateway = stage.gateway("openrouter", "openai", **BREAKER)
    stage.play(openrouter=answering(), openai=delivering("openai"))
    assert [ask(gateway, "openrouter", f"{n}").status_code for n in range(8)] == [200] * 8
    assert stage.submissions() == {"openrouter": 5, "openai": 8}


HARMLESS: dict[str, Behaviour] = {
    "refused content": golden("openai/400-moderation-blocked"),
    "refused parameter": golden("openai/400-unknown-parameter"),
    "limited": golden("openai/429-rate-limit", "Retry-After: 30"),
    "key refused": golden("openai/401-invalid-key"),
    "no credit": golden("openai/429-insufficient-quota"),
    "model withdrawn": golden("openai/404-model-not-found"),
}
FAULTY: dict[str, Behaviour] = {
    "cut": answering(),
    "own failure": golden("openai/500-server-error"),
    "overloaded": golden("openai/503-overloaded", "Retry-After: 30"),
    "a proxy's page": golden("openai/502-proxy-page"),
    "nonsense": answering(response(b"{}")),
}


def test_what_opens_a_route_and_what_does_not(stage: Stage) -> None:
    gateway = stage.gateway("openai", **BREAKER)
    for name, play in HARMLESS.items():
        stage.play(openai=play)
        for number in range(6):
            ask(gateway, "openai", f"{name} {number}")
        assert breakers(gateway)[ROUTE] == "closed", name
    stage.play(openai=delivering("openai"))
    assert ask(gateway, "openai").status_code == 200
    for name, play in FAULTY.items():
        assert breakers(gateway)[ROUTE] == "closed", name
        stage.play(openai=play)
        ask(gateway, "openai", name)
    assert breakers(gateway)[ROUTE] == "open"


def rows(gateway: Gateway, query: Select[tuple[str]]) -> Sequence[str]:
    with gateway.store.read() as connection:
        return connection.execute(query).scalars().all()


def leaving(gateway: Gateway, vendor: FaultUpstream, timeout: float | None) -> list[str]:
    """Make six edits that end by the caller's own deadline, or by a cancel; return the codes."""
    asked = message(Edit({"model": MODELS["openai"]}), inline=True)
    with gateway.stub() as stub:
        calls = [
            stub.EditImage.future(asked, metadata=gateway.metadata, timeout=timeout or 60)
            for _ in range(6)
        ]
        assert eventually(lambda: vendor.connections == 6, seconds=20)
        if timeout is None:
            for call in calls:
                call.cancel()
            return ["CANCELLED" for call in calls if call.cancelled()]
        codes = []
        for call in calls:
            with pytest.raises(grpc.RpcError) as caught:
                call.result()
            codes.append(told_by_grpc(caught.value).grpc or "")
        return codes


@pytest.mark.parametrize("timeout", [None, 1.4], ids=["cancel", "deadline"])
def test_a_callers_own_haste_opens_nothing(stage: Stage, timeout: float | None) -> None:
    gateway = stage.gateway("openai", scheme="https", **BREAKER)
    stage.play(openai=lambda _, connection: connection.hang())
    codes = leaving(gateway, stage.vendors["openai"], timeout)
    assert codes == [("DEADLINE_EXCEEDED" if timeout else "CANCELLED")] * 6
    ended = select(edits.c.id).where(edits.c.state.not_in(["held", "submitted"]))
    assert eventually(lambda: len(rows(gateway, ended)) == 6)
    assert breakers(gateway)[ROUTE] == "closed"


def test_one_probes_and_the_others_wait(stage: Stage) -> None:
    """A probe that its caller leaves, one that fails, one that delivers; by a clock of the test."""
    vendor, route = stage.vendors["openrouter"], "openrouter:openai/gpt-image-2"
    now, watchdog = [0.0], Watchdog()
    attempts, routes = stage.attempts(
        watchdog,
        "openrouter",
        cancel_unbilled=True,
        clock=lambda: now[0],
        chance=lambda: 0.0,
    )

    told: list[float | None] = []

    def fate(errand: Errand | None = None) -> str:
        errand = errand or Errand()
        try:
            attempts.fetch(routes, errand, errand)
        except AttemptFailed as failure:
            told.append(failure.error.retry_after)
        return errand.records[-1].fate

    def passes(seconds: float) -> str:
        now[0] += seconds
        return attempts.states()[route]

    stage.play(openrouter=answering())
    assert [fate() for _ in range(6)] == ["cut"] * 5 + ["circuit_open"]
    started = time.process_time()
    assert [fate() for _ in range(100)] == ["circuit_open"] * 100
    assert (time.process_time() - started) / 100 < 0.05
    assert (told[-1], passes(29), passes(1)) == (30, "open", "half_open")

    stage.play(openrouter=deaf)
    with ThreadPoolExecutor(1) as pool:
        errand = Errand()
        probe = pool.submit(fate, errand)
        assert vendor.reached.wait(5)
        assert [fate() for _ in range(5)] == ["circuit_open"] * 5
        errand.leave()
        assert probe.result() == "cancelled"
    assert passes(0) == "half_open"

    stage.play(openrouter=answering())
    assert [fate(), fate()] == ["cut", "circuit_open"]
    assert (passes(59), passes(1)) == ("open", "half_open")
    stage.play(openrouter=delivering("openrouter"))
    assert [fate() for _ in range(3)] == ["delivered"] * 3
    assert passes(0) == "closed"
    watchdog.close()
