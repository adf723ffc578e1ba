"""Faults between front and service, and between service and upstream: the money stays right."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
import requests

from sandbox.server import SandboxServer, environment
from server.accounts.audit import audit
from tests.customers import ONE, Customer, Tally, customer, post
from tests.fault_client import Leave, Manners, ask
from tests.fault_proxy import CLEAN, End, FaultProxy, Toxic
from tests.front_running import form
from tests.retry_cases import LARGE
from tests.running import Gateway, eventually
from tests.sdk_pictures import MODEL, PHOTO


class Hop:
    """The way between two neighbours; `next` is done to the next connection alone."""

    def __init__(self, url: str) -> None:
        self.next = CLEAN
        self.proxy = FaultProxy(url, self._take)

    def _take(self, _: int) -> Toxic:
        toxic, self.next = self.next, CLEAN
        return toxic


@dataclass
class Way:
    """A gateway with a proxy on either side of its service."""

    gateway: Gateway
    inside: Hop
    outside: Hop


@pytest.fixture(scope="module")
def way(sandbox: SandboxServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Way]:
    with ExitStack() as stack:
        outside = Hop(sandbox.url)
        stack.enter_context(outside.proxy)
        hops = []

        def reach(address: str) -> str:
            hops.append(Hop(f"http://{address}"))
            return stack.enter_context(hops[0].proxy).address

        settings = environment(outside.proxy.url) | {"IMAGEEDIT_ATTEMPT_TIMEOUT": "2"}
        gateway = Gateway(settings, tmp_path_factory.mktemp("between"), reach)
        with gateway:
            yield Way(gateway, hops[0], outside)


@pytest.fixture
def who(way: Way) -> Iterator[Customer]:
    """A customer, whose books balance in the end and who has nothing held or under way."""
    someone = customer(way.gateway)
    yield someone
    someone.edits()
    assert audit(way.gateway.store) == []


def once(who: Customer, words: str, key: str, seconds: float) -> int | None:
    """Edit the large picture under an idempotency key; `None` where no answer came in time."""
    try:
        answer = requests.post(
            f"{who.gateway.url}/v1/images/edits",
            data={"model": MODEL, "prompt": who.prompt(f"[sandbox echo {words}]")},
            files={"image": ("large.png", LARGE)},
            headers={"authorization": f"Bearer {who.key}", "Idempotency-Key": key},
            timeout=seconds,
        )
    except requests.Timeout:
        return None
    return answer.status_code


# On the connection between front and service; the picture goes through in chunks, both ways.
INSIDE: dict[str, tuple[Toxic, set[int | None]]] = {
    "latency": (Toxic(latency=0.002, request_latency=0.002), {200}),
    "little bandwidth": (Toxic(bandwidth=8_000_000, request_bandwidth=8_000_000), {200}),
    "sliced": (Toxic(slices=20_000), {200}),
    # The channel connects anew by itself: the call may find it sound already.
    "reset before anything": (Toxic(End.RESET, request_at=0), {200, 502, 503}),
    "cut in the first frames": (Toxic(request_at=200), {502, 503}),
    "cut in the request": (Toxic(request_at=700_000), {502, 503}),
    "reset in the request": (Toxic(End.RESET, request_at=700_000), {502, 503}),
    "cut while under way": (Toxic(after=0.3), {502, 503}),
    "cut in the answer": (Toxic(answer_at=700_000), {502, 503}),
    "reset in the answer": (Toxic(End.RESET, answer_at=700_000), {502, 503}),
    "half-open in the request": (Toxic(End.HANG, request_at=700_000), {None}),
    "half-open in the answer": (Toxic(End.HANG, answer_at=700_000), {None}),
}


@pytest.mark.parametrize("name", INSIDE)
def test_between_front_and_service_an_edit_is_paid_once(
    way: Way, who: Customer, sandbox: SandboxServer, name: str
) -> None:
    toxic, statuses = INSIDE[name]
    words, key = "delay=0.8" if toxic.after else "", uuid.uuid4().hex
    way.inside.next = toxic
    way.inside.proxy.cut()  # the channel's connection is the one that was made before
    seconds = 1.5 if None in statuses else 20
    answered = once(who, words, key, seconds)
    # A call may meet the connection that is just being cut, and be refused before the next one.
    while way.inside.next is not CLEAN:
        assert answered == 503
        answered = once(who, words, key, seconds)
    assert answered in statuses
    if None in statuses:
        way.inside.proxy.cut()  # or the half-open connection would be used on
    assert comes_back(who, words, key)
    assert who.tally(sandbox) == ONE


def comes_back(who: Customer, words: str, key: str) -> bool:
    """Try again; a channel that lost its connection may refuse for a second or two."""
    return eventually(lambda: once(who, words, key, 20) == 200, seconds=15)


SLOW = Tally(submissions=1, billable=1, posted=1, charges=1)
LOST = Tally(submissions=1, billable=1, posted=0, charges=0)
NEVER = Tally(submissions=0, billable=0, posted=0, charges=0)

# On the connection between service and upstream: the status, and what it comes to.
OUTSIDE: dict[str, tuple[Toxic, int, Tally]] = {
    "latency": (Toxic(latency=0.02, request_latency=0.02), 200, SLOW),
    "little bandwidth": (Toxic(bandwidth=4_000_000, request_bandwidth=4_000_000), 200, SLOW),
    "sliced": (Toxic(slices=20_000), 200, SLOW),
    "slow close": (Toxic(slow_close=0.3), 200, SLOW),
    "reset before anything": (Toxic(End.RESET, request_at=0), 502, NEVER),
    "cut in the request": (Toxic(request_at=1_000), 502, NEVER),
    "reset in the request": (Toxic(End.RESET, request_at=1_000), 502, NEVER),
    "cut before the answer": (Toxic(answer_at=0), 502, LOST),
    "reset before the answer": (Toxic(End.RESET, answer_at=0), 502, LOST),
    "cut in the headers": (Toxic(answer_at=30), 502, LOST),
    "cut in the answer": (Toxic(answer_at=5_000), 502, LOST),
    "reset in the answer": (Toxic(End.RESET, answer_at=5_000), 502, LOST),
    "half-open in the request": (Toxic(End.HANG, request_at=1_000), 504, NEVER),
    "half-open before the answer": (Toxic(End.HANG, answer_at=0), 504, LOST),
    "half-open in the answer": (Toxic(End.HANG, answer_at=5_000), 504, LOST),
    "dripping answer": (Toxic(bandwidth=500), 504, LOST),
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_between_service_and_upstream_nothing_is_paid_twice_or_for_nothing(
    way: Way, who: Customer, sandbox: SandboxServer, name: str
) -> None:
    toxic, status, tally = OUTSIDE[name]
    way.outside.next = toxic
    answer = post(who)
    assert (answer.status_code, who.tally(sandbox)) == (status, tally)
    # Whether it is billed is not known: an SDK must not repeat it.
    assert answer.headers.get("x-should-retry") == (None if status == 200 else "false")
    assert way.outside.next is CLEAN


def test_an_upstream_that_is_down_costs_nothing(
    way: Way, who: Customer, sandbox: SandboxServer
) -> None:
    with way.outside.proxy.down():
        assert post(who).status_code in {502, 503}
    assert who.tally(sandbox) == NEVER
    assert post(who).status_code == 200


def test_a_service_that_is_down_is_said_to_be_and_comes_back(way: Way, who: Customer) -> None:
    with way.inside.proxy.down():
        assert once(who, "", "k", 20) in {502, 503}
    assert comes_back(who, "", "k")


HONEST = Manners(listens=15)
CLIENTS: dict[str, tuple[Manners, set[int | None]]] = {
    "drips": (Manners(pieces=500, pause=0.01, listens=15), {200}),
    "stalls for a while": (Manners(stall_at=1000, stall=0.3, listens=15), {200}),
    "cuts in the headers": (Manners(stop_at=50), {None}),
    "cuts in the body": (Manners(stop_at=1000), {None, 400}),
    "resets in the body": (Manners(stop_at=1000, leave=Leave.RESET), {None}),
    "closes its half in the body": (Manners(stop_at=1000, leave=Leave.HALF, listens=5), {400}),
    "never reads": (Manners(deaf=True, listens=0.5), {None}),
}


@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_with_faults_pays_for_what_began_and_its_retry_is_the_same_edit(
    way: Way, who: Customer, sandbox: SandboxServer, name: str
) -> None:
    manners, statuses = CLIENTS[name]
    sent = form(model=MODEL, prompt=who.prompt(), image=PHOTO)
    request = (
        f"POST /v1/images/edits HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {who.key}\r\n"
        f"Idempotency-Key: once\r\nContent-Type: {sent['content_type']}\r\n"
        f"Content-Length: {len(sent['data'])}\r\n\r\n"
    ).encode() + sent["data"]
    assert ask(way.gateway.url, request, manners).status in statuses
    assert ask(way.gateway.url, request, HONEST).status == 200
    assert who.tally(sandbox) == ONE
