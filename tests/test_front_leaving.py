"""Clients that hang up while their edit is under way, and those that only seem to."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest
import requests

from sandbox.server import SandboxServer
from tests.edits import Edit
from tests.fake_servicer import FakeServicer, Queued, serving
from tests.front_running import Front, edited, listening, streamed
from tests.interrupted import prepared
from tests.running import Gateway, eventually
from tests.wire import answers, ask, client, edit, get, to_end

LARGE = bytes(1_048_577)


@pytest.fixture
def fake() -> Iterator[FakeServicer]:
    with serving() as fake:
        yield fake


@pytest.fixture
def release() -> Iterator[Event]:
    """What lets held calls of the fake go on; they do at the latest when the test ends."""
    event = Event()
    yield event
    event.set()


KINDS = {"small": {}, "large": {"image": LARGE}, "streamed": {"stream": "true"}}
kinds = pytest.mark.parametrize("kind", KINDS)


def held(fake: FakeServicer, release: Event, kind: str) -> Queued:
    """Let the next edit be held by the service."""
    if kind == "large":
        fake.accept_key()
    if kind == "small":
        return fake.queue("EditImage", edited(), hold=release)
    return fake.queue("StreamEditImage", streamed(b"x"), hold=release)


def sent(kind: str) -> bytes:
    return edit(**KINDS[kind])


def by_end(connection: socket.socket) -> None:
    connection.close()


def by_reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@kinds
@pytest.mark.parametrize("leave", [by_end, by_reset])
def test_a_client_that_hangs_up_ends_its_call(
    fake: FakeServicer, release: Event, leave: object, kind: str
) -> None:
    call = held(fake, release, kind)
    with listening(fake) as front:
        with client(front.address) as connection:
            connection.sendall(sent(kind))
            assert call.asked.wait(10)
            assert not call.ended.is_set()
            began = time.monotonic()
            assert callable(leave)
            leave(connection)
            assert call.ended.wait(1)
        assert time.monotonic() - began < 1
        assert eventually(lambda: bool(front.log))
    assert [line["status"] for line in front.log] == [499]


@kinds
def test_a_client_that_ends_its_side_alone_is_told(
    fake: FakeServicer, release: Event, kind: str
) -> None:
    call = held(fake, release, kind)
    with listening(fake) as front, client(front.address) as connection:
        connection.sendall(sent(kind))
        assert call.asked.wait(10)
        connection.shutdown(socket.SHUT_WR)
        (told,) = answers(to_end(connection))
        assert told.status == 499
        assert told.error["type"] == "invalid_request_error"
        assert "x-request-id" in told.headers


def test_a_client_that_asks_ahead_and_waits_gets_both(fake: FakeServicer, release: Event) -> None:
    call = held(fake, release, "small")
    with listening(fake) as front, client(front.address) as connection:
        connection.sendall(sent("small") + get())
        assert call.asked.wait(10)
        assert not call.ended.wait(0.1)
        release.set()
        got = b""
        while got.count(b"HTTP/1.1 200 OK") < 2:
            got += connection.recv(65_536)


def test_a_client_that_leaves_after_its_answer_ends_nothing(front: Front) -> None:
    for _ in range(20):
        assert ask(front.address, get()).status == 200
    assert {line["status"] for line in front.log} == {200}


@pytest.fixture
def front(fake: FakeServicer) -> Iterator[Front]:
    with listening(fake) as front:
        yield front


def leave_while_held(gateway: Gateway, request: requests.PreparedRequest) -> None:
    """Send an edit, and hang up once the service holds it."""
    host, port = gateway.url.removeprefix("http://").split(":")
    head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    assert isinstance(request.body, bytes)
    with client((host, int(port))) as connection:
        line = f"POST {request.path_url} HTTP/1.1\r\nHost: x\r\n{head}\r\n"
        connection.sendall(line.encode() + request.body)
        assert eventually(lambda: gateway.service.admission.held == 1)
        time.sleep(0.2)


def test_before_the_upstream_has_the_request_it_ends_and_costs_nothing(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:  # never ends the TLS handshake
        environment = {
            "OPENAI_API_KEY": "none",
            "OPENAI_BASE_URL": f"https://127.0.0.1:{mute.getsockname()[1]}/v1",
        }
        with Gateway(environment, tmp_path) as gateway:
            url = f"{gateway.url}/v1/credits"
            before = requests.get(url, headers=gateway.authorization, timeout=10).json()
            leave_while_held(gateway, prepared(gateway.url, Edit(), gateway.authorization))
            assert eventually(lambda: gateway.service.admission.held == 0, 1.0)
            after = requests.get(url, headers=gateway.authorization, timeout=10).json()
    assert after == before


def test_after_that_it_is_finished_for_the_retry(sandbox: SandboxServer, tmp_path: Path) -> None:
    edit = Edit({"prompt": "left alone [sandbox echo delay=1]"})
    with Gateway(sandbox.environment(), tmp_path) as gateway, requests.Session() as session:
        sandbox.forget_calls()
        leave_while_held(gateway, prepared(gateway.url, edit, gateway.authorization))
        headers = gateway.authorization | {"x-stainless-retry-count": "1"}
        retried = session.send(prepared(gateway.url, edit, headers), timeout=10)
        assert retried.status_code == 200
        assert retried.headers["idempotent-replayed"] == "true"
        assert len(sandbox.calls) == 1
