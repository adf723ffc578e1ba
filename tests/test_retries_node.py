"""Whatever breaks, a call with OpenAI's Node package is one submission and one charge."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox.server import SandboxServer
from tests.customers import ONE, customer, customer_of
from tests.fault_proxy import End, Toxic
from tests.node_calls import Calls, Made
from tests.node_scripts import NotThere, node_script
from tests.retry_cases import FILES, NO_ANSWER, Case, assert_edited, at, first, upstream
from tests.retry_faults import CASES, HANGS, VARIANTS
from tests.running import Gateway


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The script with what it needs beside it; skips where node or npm are missing."""
    place = tmp_path_factory.mktemp("node")
    try:
        node_script("retries.mjs", place)
    except NotThere as missing:
        pytest.skip(str(missing))
    for name, data in FILES.items():
        (place / name).write_bytes(data)
    return place


@pytest.fixture(scope="module")
def hasty(sandbox: SandboxServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway whose attempts may take 0.6 seconds."""
    environment = sandbox.environment() | {"IMAGEEDIT_ATTEMPT_TIMEOUT": "0.6"}
    with Gateway(environment, tmp_path_factory.mktemp("hasty")) as running:
        yield running


@pytest.fixture(autouse=True)
def books_that_balance(gateway: Gateway) -> Iterator[None]:
    """After every test the audit finds nothing; the hasty gateway's own comes at its end."""
    yield
    assert gateway.findings() == []


@pytest.fixture(scope="module")
def length(gateway: Gateway, folder: Path) -> int:
    """The bytes of an answer: of all prompts of one length the same."""
    calls = Calls(folder, 0)
    calls.add("whole", customer(gateway), Case())
    (made,) = calls.run().values()
    assert made.outcome["status"] == 200
    return made.proxy.answered[0]


def with_node(case: Case) -> Case:
    """Return what Node makes of a case: a body that is cut is an error for its caller."""
    return replace(case, requests=1, ends=NO_ANSWER) if case.cuts_body else case


STREAMED = {
    f"a stream, {name}": replace(case, requests=1, ends=NO_ANSWER)
    for name, case in {
        "cut before the answer": Case(toxics=at(0)),
        "cut while under way": upstream("delay=12", toxics=first(Toxic(after=10))),
    }.items()
} | {"a stream, and the upstream breaks": upstream("reset", ends=502)}
NODE_CASES = {name: with_node(case) for name, case in (CASES | STREAMED).items()}


@pytest.fixture(scope="module")
def outcomes(gateway: Gateway, hasty: Gateway, folder: Path, length: int) -> dict[str, Made]:
    """What came of every case and of three equal calls of every row."""
    calls, gateways = Calls(folder, length), {"gateway": gateway, "hasty": hasty}
    for name, case in NODE_CASES.items():
        options = {"stream": True} if name in STREAMED else {}
        calls.add(name, customer_of(case.customer, gateways[case.gateway]), case, **options)
    for name, row in VARIANTS.items():
        who = customer(gateway, concurrency=row.concurrency)
        for index in range(3):
            calls.add(f"{name} {index}", who, row.case)
    return calls.run()


@pytest.mark.parametrize("name", NODE_CASES)
def test_one_submission_one_charge_and_the_picture(
    outcomes: dict[str, Made], sandbox: SandboxServer, name: str
) -> None:
    case, made = NODE_CASES[name], outcomes[name]
    tally = made.who.tally(sandbox)
    assert tally.billable <= 1
    assert (made.outcome["status"], made.proxy.requests) == (case.ends, case.requests)
    assert tally.submissions == case.submissions
    assert tally.posted == tally.charges == case.charges
    if case.ends == 200:
        assert_edited(case, made.picture)
        assert made.outcome["replayed"] == case.replays


@pytest.mark.parametrize("name", VARIANTS)
def test_three_equal_calls_are_three_edits(
    outcomes: dict[str, Made], sandbox: SandboxServer, name: str
) -> None:
    three = [outcomes[f"{name} {index}"] for index in range(3)]
    lost = VARIANTS[name].case.cuts_body
    assert [made.outcome["status"] for made in three] == [NO_ANSWER if lost else 200] * 3
    for made in [] if lost else three:
        assert_edited(VARIANTS[name].case, made.picture)
    tally = three[0].who.tally(sandbox)
    assert (tally.billable, tally.posted, tally.charges) == (3, 3, 3)


def test_a_client_that_times_out_gets_the_edit_that_it_began(
    gateway: Gateway, sandbox: SandboxServer, folder: Path, length: int
) -> None:
    calls = Calls(folder, length)
    for name, case in HANGS.items():
        if not case.cuts_body:  # Node's time-out ends with the answer's headers
            calls.add(name, customer(gateway), case, timeout=1000)
    for name, made in calls.run().items():
        assert (made.outcome["status"], made.outcome["replayed"]) == (200, True), name
        assert made.proxy.requests in {2, 3}
        assert_edited(HANGS[name], made.picture)
        assert made.who.tally(sandbox) == ONE


KEYED = {
    "cut in the body": Case(toxics=at(0.5)),
    "cut before the last byte": Case(toxics=at(1, end=End.RESET)),
    "cut three times before the answer": Case(toxics=at(0, 3)),
    "behind a proxy that took all": Case(toxics=at(0.5, buffers=True)),
    "a stream, cut before the answer": Case(toxics=at(0)),
}


def test_with_a_key_the_second_call_brings_the_picture(
    gateway: Gateway, sandbox: SandboxServer, folder: Path, length: int
) -> None:
    calls = Calls(folder, length)
    for name, case in KEYED.items():
        calls.add(name, customer(gateway), case, idempotencyKey="one", stream="stream" in name)
        call = calls.made[name].call
        call["then"] = {**call, "stream": False}
    for name, made in calls.run().items():
        assert made.outcome["status"] == NO_ANSWER, name
        made.outcome = made.outcome["then"]
        assert (made.outcome["status"], made.outcome["replayed"]) == (200, True), name
        assert_edited(KEYED[name], made.picture)
        assert made.who.tally(sandbox) == ONE
