"""Of an edit, one submission is under way at any moment, each on a connection of its own."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.fault_upstream import Behaviour, Connection, FaultUpstream, Received
from tests.staged_vendors import Stage, ask, delivering, golden, staged


@pytest.fixture
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("stage")) as stage:
        yield stage


class Tally:
    """Counts the submissions of each edit that are under way, over all vendors."""

    def __init__(self) -> None:
        self.all: Counter[bytes] = Counter()
        self.most = 0
        self._under_way: Counter[bytes] = Counter()
        self._lock = threading.Lock()

    def around(self, play: Behaviour) -> Behaviour:
        """Play `play` and count from the first byte of the edit to the last of the answer."""
        tally = self

        class Counting(Connection):
            def read_request(self) -> Received:
                request = super().read_request()
                (self.edit,) = set(re.findall(rb"edit \d+", request.body))
                with tally._lock:
                    tally.all[self.edit] += 1
                    tally._under_way[self.edit] += 1
                    tally.most = max(tally.most, tally._under_way[self.edit])
                return request

            def write(self, data: bytes) -> None:
                self.stopped.wait(0.02)  # long enough to meet another
                with tally._lock:
                    tally._under_way[self.edit] -= 1
                super().write(data)

        def behave(upstream: FaultUpstream, connection: Connection) -> None:
            play(upstream, Counting(connection.sock, connection.stopped))

        return behave


OUTCOMES = {
    "both overloaded": ("openrouter/503-no-provider", "openai/503-overloaded", 3),
    "one overloaded, one limited": ("openrouter/503-no-provider", "openai/429-rate-limit", 3),
    "one broken, one refusing": ("openrouter/500-error", "openai/400-moderation-blocked", 2),
    "one without the model": ("openrouter/404-no-endpoints", "", 2),
    "none": ("", "", 1),
}


@pytest.mark.parametrize(("first", "second", "each"), OUTCOMES.values(), ids=OUTCOMES)
def test_never_two_at_once(stage: Stage, first: str, second: str, each: int) -> None:
    gateway, tally, edits = stage.gateway("openrouter", "openai"), Tally(), 10
    stage.play(
        openrouter=tally.around(golden(first) if first else delivering("openrouter")),
        openai=tally.around(golden(second) if second else delivering("openai")),
    )
    with ThreadPoolExecutor(edits) as pool:
        list(pool.map(lambda number: ask(gateway, "openrouter", f"edit {number}."), range(edits)))
    assert tally.most == 1
    assert tally.all == {f"edit {number}".encode(): each for number in range(edits)}


def test_a_connection_that_the_vendor_closed_meanwhile_loses_no_edit(stage: Stage) -> None:
    """It promises to keep the connection and closes it once idle, as vendors' gateways do."""
    gateway = stage.gateway("openai")
    deliver = delivering("openai")

    class Promising(Connection):
        def write(self, data: bytes) -> None:
            super().write(data.replace(b"\r\n", b"\r\nConnection: keep-alive\r\n", 1))

    def behave(upstream: FaultUpstream, connection: Connection) -> None:
        deliver(upstream, Promising(connection.sock, connection.stopped))

    stage.play(openai=behave)
    vendor = stage.vendors["openai"]
    for number in range(1, 11):
        assert ask(gateway, "openai", f"edit {number}").status_code == 200
        assert vendor.connections == vendor.submissions == number


def test_an_interim_answer_loses_no_paid_picture(stage: Stage) -> None:
    gateway = stage.gateway("openai")
    deliver = delivering("openai")
    interim = b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"

    class Chatty(Connection):
        def write(self, data: bytes) -> None:
            super().write(interim * 10 + data)

    def behave(upstream: FaultUpstream, connection: Connection) -> None:
        deliver(upstream, Chatty(connection.sock, connection.stopped))

    stage.play(openai=behave)
    assert ask(gateway, "openai").status_code == 200
    assert stage.submissions() == {"openai": 1}
