"""A caller that leaves: at once before the upstream has the edit, and by the rule after that."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grpc
import pytest
from sqlalchemy import select

from imageedit.v1.image_edit_pb2_grpc import ImageEditStub
from server.accounts.schema import edits
from server.upstream.attempt import Attempt, Cancelled
from server.upstream.session import send
from server.upstream.watchdog import Watchdog
from tests.edits import Edit, message, told_by_grpc
from tests.fault_upstream import (
    CALL,
    Connection,
    FaultUpstream,
    endpoint,
    nobody_answers,
)
from tests.running import Gateway, eventually
from tests.staged_vendors import MODELS, Stage, delivering, golden, result, staged

LEAVERS = 100


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("stage")) as stage:
        yield stage


class Left:
    """Notes when peers were gone; `play` waits for that and does nothing else."""

    def __init__(self) -> None:
        self.there = threading.Semaphore(0)
        self.gone: list[float] = []

    def play(self, _: FaultUpstream, connection: Connection) -> None:
        connection.peek(1)
        self.there.release()
        connection.hang()
        if not connection.stopped.is_set():
            self.gone.append(time.monotonic())


class Held:
    """Takes the edit and delivers when it is told to; `gone` once the peer hung up before that."""

    def __init__(self, vendor: str) -> None:
        self.told = threading.Event()
        self.gone = threading.Event()
        self._deliver = delivering(vendor)

    def play(self, upstream: FaultUpstream, connection: Connection) -> None:
        class Kept(Connection):
            def write(kept, data: bytes) -> None:  # noqa: N805 -- `self` is the outer one
                kept.sock.settimeout(0.02)
                while not self.told.is_set():
                    try:
                        if not kept.sock.recv(1):
                            self.gone.set()
                            return
                    except TimeoutError:
                        continue
                super().write(data)

        self._deliver(upstream, Kept(connection.sock, connection.stopped))


@contextmanager
def calling(gateway: Gateway, vendor: str, count: int = 1) -> Iterator[list[grpc.Future]]:
    """Give `count` edits that are under way."""
    asked = message(Edit({"model": MODELS[vendor]}), inline=True)
    with grpc.insecure_channel(gateway.service.address) as channel:
        stub = ImageEditStub(channel)
        yield [
            stub.EditImage.future(asked, metadata=gateway.metadata, timeout=60)
            for _ in range(count)
        ]


def states(gateway: Gateway, count: int) -> list[tuple[str, int]]:
    """Return state and loss of the last edits."""
    newest = select(edits.c.state, edits.c.loss).order_by(edits.c.created.desc()).limit(count)
    with gateway.store.read() as connection:
        return [(row.state, row.loss) for row in connection.execute(newest)]


def test_a_hundred_that_leave_in_the_handshake_are_gone_within_a_second(stage: Stage) -> None:
    gateway, left = stage.gateway("openai", scheme="https"), Left()
    stage.play(openai=left.play)
    with calling(gateway, "openai", LEAVERS) as calls:
        for _ in calls:
            assert left.there.acquire(timeout=30)
        started = time.monotonic()
        for call in calls:
            call.cancel()
        assert eventually(lambda: len(left.gone) == LEAVERS, seconds=5)
    late = [when - started for when in left.gone if when - started > 1]
    assert len(late) <= LEAVERS // 100, late
    assert eventually(lambda: states(gateway, LEAVERS) == [("voided", 0)] * LEAVERS, seconds=5)
    assert stage.submissions() == {}


def test_those_whose_connection_ends_are_gone_within_a_second(stage: Stage) -> None:
    gateway, left = stage.gateway("openai", scheme="https"), Left()
    stage.play(openai=left.play)
    with calling(gateway, "openai", 10) as calls:
        for _ in calls:
            assert left.there.acquire(timeout=30)
    started = time.monotonic()
    assert eventually(lambda: len(left.gone) == 10, seconds=5)
    assert max(left.gone) - started < 1


def test_one_that_leaves_while_connecting_is_gone_within_a_second(tmp_path: Path) -> None:
    with ExitStack() as stack:
        origin = stack.enter_context(nobody_answers())
        environment = {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": f"{origin}/v1"}
        gateway = stack.enter_context(Gateway(environment, tmp_path))
        (call,) = stack.enter_context(calling(gateway, "openai"))
        assert eventually(lambda: states(gateway, 1) == [("held", 0)])
        call.cancel()
        assert eventually(lambda: states(gateway, 1) == [("voided", 0)], seconds=1)


def test_one_that_leaves_while_the_route_is_left_alone_is_gone_within_a_second(
    stage: Stage,
) -> None:
    gateway = stage.gateway("openai")
    stage.play(openai=golden("openai/503-overloaded", "Retry-After: 2"))
    with calling(gateway, "openai") as (call,):
        assert stage.vendors["openai"].reached.wait(5)
        assert eventually(lambda: states(gateway, 1) == [("submitted", 0)])
        call.cancel()
        assert eventually(lambda: states(gateway, 1) == [("voided", 0)], seconds=1)
    assert stage.submissions() == {"openai": 1}


def test_one_that_leaves_during_the_name_lookup_is_gone_at_once() -> None:
    released, asked = threading.Event(), threading.Event()

    def hang(*_: object, **__: object) -> list[tuple[()]]:
        asked.set()
        released.wait()
        return []

    watchdog = Watchdog()
    with ExitStack() as stack:
        stack.callback(watchdog.close)
        stack.callback(released.set)
        attempt = stack.enter_context(Attempt(60, watchdog))
        leaver = threading.Thread(target=lambda: asked.wait() and attempt.withdraw())
        leaver.start()
        started = time.monotonic()
        with pytest.raises(Cancelled) as caught:
            send(CALL, endpoint("https://vendor.example"), attempt, resolve=hang)
        assert time.monotonic() - started < 1
        assert caught.value.sent is False
        leaver.join()


# By provider and by setting: whether a caller that leaves ends a paid call.
RULES = [
    ("openrouter", "finish", False),
    ("openrouter", "unbilled", True),
    ("openai", "finish", False),
    ("openai", "unbilled", False),
    ("siliconflow", "unbilled", False),
]


@pytest.mark.parametrize(("vendor", "rule", "ends"), RULES)
def test_one_that_leaves_later(stage: Stage, vendor: str, rule: str, ends: bool) -> None:
    gateway, held = stage.gateway(vendor, IMAGEEDIT_CANCEL=rule), Held(vendor)
    stage.play(**{vendor: held.play})
    with calling(gateway, vendor) as (call,):
        assert stage.vendors[vendor].reached.wait(5)
        call.cancel()
        assert held.gone.wait(1 if ends else 0.2) == ends
    held.told.set()
    ended = ("voided", 0) if ends else ("posted", 0)
    assert eventually(lambda: states(gateway, 1) == [ended], seconds=5)
    assert stage.submissions() == {vendor: 1}


@pytest.mark.parametrize("rule", ["finish", "unbilled"])
def test_one_that_leaves_during_the_download_loses_no_paid_picture(stage: Stage, rule: str) -> None:
    gateway, held = stage.gateway("siliconflow", IMAGEEDIT_CANCEL=rule), Held("siliconflow")
    stage.play(siliconflow=result(held.play))
    with calling(gateway, "siliconflow") as (call,):
        assert eventually(lambda: stage.vendors["siliconflow"].connections == 2, seconds=5)
        call.cancel()
        assert not held.gone.wait(0.2)
    held.told.set()
    assert eventually(lambda: states(gateway, 1) == [("posted", 0)], seconds=5)


def test_a_deadline_during_the_download_is_an_unknown_outcome(stage: Stage) -> None:
    gateway, held = stage.gateway("siliconflow"), Held("siliconflow")
    stage.play(siliconflow=result(held.play))
    asked = message(Edit({"model": MODELS["siliconflow"]}), inline=True)
    with gateway.stub() as stub, pytest.raises(grpc.RpcError) as caught:
        stub.EditImage(asked, metadata=gateway.metadata, timeout=1.5)
    assert told_by_grpc(caught.value).grpc == "DEADLINE_EXCEEDED"
    assert held.gone.wait(1)
    ((state, loss),) = states(gateway, 1)
    assert state == "unknown"
    assert loss > 0


def test_a_picture_that_is_made_is_not_cancelled_any_more() -> None:
    watchdog = Watchdog()
    with Attempt(60, watchdog, free_cancel=True) as attempt:
        attempt.begin_sending()
        attempt.keep()
        attempt.withdraw()
        attempt.check()
        attempt.cancel()
        with pytest.raises(Cancelled):
            attempt.check()
    with Attempt(60, watchdog, free_cancel=True) as attempt:
        attempt.begin_sending()
        attempt.withdraw()
        with pytest.raises(Cancelled):
            attempt.keep()
        assert attempt.kept  # it came whole all the same, and may be billed
    watchdog.close()
