"""Whatever breaks, a call with OpenAI's Python package is one submission and one charge."""

from __future__ import annotations

import base64
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import openai
import pytest

from sandbox.server import SandboxServer
from tests.customers import ONE, Customer, customer, customer_of
from tests.fault_proxy import FaultProxy
from tests.retry_cases import FILES, NO_ANSWER, Case, Variant, assert_edited, at
from tests.retry_faults import CASES, HANGS, VARIANTS
from tests.running import Gateway

Answer = TypeVar("Answer")
# Loading the system's certificates takes the package longer than an edit; nothing here uses them.
TLS = ssl.create_default_context()


@dataclass(frozen=True)
class Outcome:
    """What a call came to: its status, the POSTs that it took, the connections that broke."""

    who: Customer
    status: int
    picture: bytes
    replayed: bool
    requests: int
    spoilt: int


def call(who: Customer, case: Case, proxy: FaultProxy, **options: Any) -> Outcome:
    """Edit through a proxy; `options` are the package's own, by default none."""
    before, picture, replayed = proxy.requests, b"", False
    own = openai.DefaultHttpxClient(verify=TLS)  # the package's own, see its documentation
    client = openai.OpenAI(base_url=f"{proxy.url}/v1", api_key=who.key, http_client=own, **options)
    asked: dict[str, Any] = {"model": case.model, "image": FILES[case.image], **case.params}
    with client:
        try:
            raw = client.images.with_raw_response.edit(prompt=who.prompt(case.words), **asked)
            data = raw.parse().data
            assert data is not None
            picture = base64.b64decode(data[0].b64_json or "", validate=True)
            replayed = raw.headers.get("idempotent-replayed") == "true"
            status = raw.status_code
        except openai.APIConnectionError:
            status = NO_ANSWER
        except openai.APIStatusError as error:
            status = error.status_code
    return Outcome(who, status, picture, replayed, proxy.requests - before, len(proxy.spoilt))


def at_once(acts: Mapping[str, Callable[[], Answer]], threads: int = 16) -> dict[str, Answer]:
    """Return what every act returns; the first ones begin together."""
    with ThreadPoolExecutor(threads) as pool:
        begun = {name: pool.submit(act) for name, act in acts.items()}
        return {name: future.result() for name, future in begun.items()}


@dataclass(frozen=True)
class Calls:
    """Makes calls, each through a proxy of its own; `length` is that of a whole answer."""

    gateways: Mapping[str, Gateway]
    length: int

    def one(self, case: Case, **options: Any) -> Outcome:
        gateway = self.gateways[case.gateway]
        with FaultProxy(gateway.url, case.toxics(self.length)) as proxy:
            return call(customer_of(case.customer, gateway), case, proxy, **options)

    def three(self, row: Variant) -> list[Outcome]:
        """Make three equal calls at once."""
        gateway, gate = self.gateways[row.case.gateway], threading.Barrier(3)
        who = customer(gateway, concurrency=row.concurrency)

        def make() -> Outcome:
            with FaultProxy(gateway.url, row.case.toxics(self.length)) as proxy:
                gate.wait()
                return call(who, row.case, proxy)

        return list(at_once({str(index): make for index in range(3)}).values())


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
def calls(gateway: Gateway, hasty: Gateway) -> Calls:
    """What makes calls; answers to prompts of one length have one length."""
    with FaultProxy(gateway.url) as proxy:
        assert call(customer(gateway), Case(), proxy).status == 200
        return Calls({"gateway": gateway, "hasty": hasty}, proxy.answered[0])


Began = tuple[Future[dict[str, Outcome]], Future[dict[str, list[Outcome]]]]


@pytest.fixture(scope="module")
def began(calls: Calls) -> Iterator[Began]:
    """All calls of both tables: their waits overlap."""
    cases = {name: lambda case=case: calls.one(case) for name, case in CASES.items()}
    threes = {name: lambda row=row: calls.three(row) for name, row in VARIANTS.items()}
    with ThreadPoolExecutor(2) as pool:
        yield pool.submit(at_once, cases), pool.submit(at_once, threes, 5)


@pytest.mark.parametrize("name", CASES)
def test_one_submission_one_charge_and_the_picture(
    began: Began, sandbox: SandboxServer, name: str
) -> None:
    case, outcome = CASES[name], began[0].result()[name]
    tally = outcome.who.tally(sandbox)
    assert tally.billable <= 1
    assert (outcome.status, outcome.requests) == (case.ends, case.requests)
    assert tally.submissions == case.submissions
    assert tally.posted == tally.charges == case.charges
    if case.ends == 200:
        assert_edited(case, outcome.picture)


@pytest.mark.parametrize("name", [name for name in CASES if CASES[name].spoils])
def test_the_fault_was_played_and_a_repeat_says_that_it_is_one(began: Began, name: str) -> None:
    case, outcome = CASES[name], began[0].result()[name]
    assert outcome.spoilt == case.requests - (case.ends == 200)
    assert outcome.replayed == case.replays


@pytest.mark.parametrize("name", VARIANTS)
def test_three_equal_calls_are_three_edits(began: Began, sandbox: SandboxServer, name: str) -> None:
    outcomes = began[1].result()[name]
    for outcome in outcomes:
        assert outcome.status == 200
        assert_edited(VARIANTS[name].case, outcome.picture)
    tally = outcomes[0].who.tally(sandbox)
    assert (tally.billable, tally.posted, tally.charges) == (3, 3, 3)


def test_three_equal_calls_that_are_cut_never_share_a_result(began: Began) -> None:
    for name, row in VARIANTS.items():
        if row.case.cuts_body:
            outcomes = began[1].result()[name]
            takers = [edit.claims for edit in outcomes[0].who.edits()]
            assert takers == [outcomes[0].requests - 1] * 3, name


def test_a_client_that_times_out_gets_the_edit_that_it_began(
    calls: Calls, sandbox: SandboxServer
) -> None:
    acts = {name: lambda case=case: calls.one(case, timeout=1.0) for name, case in HANGS.items()}
    for name, outcome in at_once(acts).items():
        assert (outcome.status, outcome.replayed) == (200, True), name
        assert outcome.requests in {2, 3}
        assert_edited(HANGS[name], outcome.picture)
        assert outcome.who.tally(sandbox) == ONE, name


def test_after_three_broken_tries_the_key_brings_the_picture(
    gateway: Gateway, sandbox: SandboxServer, calls: Calls
) -> None:
    key = {"extra_headers": {"Idempotency-Key": "one"}}
    who, case = customer(gateway), Case(toxics=at(0.5, 3), params=key)
    with FaultProxy(gateway.url, case.toxics(calls.length)) as proxy:
        broken, whole = (call(who, case, proxy) for _ in range(2))
    assert (broken.status, broken.requests) == (NO_ANSWER, 3)
    assert (whole.status, whole.requests, whole.replayed) == (200, 1, True)
    assert_edited(case, whole.picture)
    assert who.tally(sandbox) == ONE
