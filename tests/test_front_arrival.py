"""When the front tells the service that an answer arrived: on proof, and never for a cut one."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import grpc
import pytest
import requests

from gateway_http.arrival import QUIET, Arrival
from imageedit.v1 import image_edit_pb2 as pb
from tests.fake_servicer import LIMITS, FakeServicer, Fault, Queued, serving
from tests.front_running import KEY, PNG, edited, form, in_process, listening, streamed

PATH = "/v1/images/edits"
SMALL, LARGE = PNG, bytes(range(256)) * 40_000
PLACES = 10


@pytest.fixture
def fake() -> Iterator[FakeServicer]:
    with serving() as fake:
        yield fake


def queue(fake: FakeServicer, picture: bytes = SMALL) -> None:
    """Let the next edit give `picture`."""
    if picture is SMALL:
        fake.queue("EditImage", edited(picture, edit_id="e1"), metadata=LIMITS)
    else:
        facts = streamed(picture, edit_id="e1")
        fake.queue("StreamEditImage", facts, metadata=LIMITS)


def expect(fake: FakeServicer) -> Queued:
    return fake.queue("ConfirmDelivery", pb.ConfirmDeliveryResponse())


def wire(picture: bytes = SMALL, connection: str = "keep-alive") -> bytes:
    """Return an edit's request; a large result is answered to a large picture."""
    sent = form() if picture is SMALL else form(image=bytes(1_048_577))
    return (
        f"POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-test\r\n"
        f"Idempotency-Key: once\r\nContent-Type: {sent['content_type']}\r\n"
        f"Connection: {connection}\r\nContent-Length: {len(sent['data'])}\r\n\r\n"
    ).encode() + sent["data"]


def read(client: socket.socket, size: int) -> bytes:
    got = b""
    while len(got) < size:
        piece = client.recv(min(65_536, size - len(got)))
        assert piece
        got += piece
    return got


def answer_size(client: socket.socket) -> tuple[int, bytes]:
    """Read an answer's head; return the size of the whole answer, and what was read."""
    got = b""
    while b"\r\n\r\n" not in got:
        got += client.recv(1)
    head, _, _ = got.partition(b"\r\n\r\n")
    (length,) = (
        int(line.split(b":")[1])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    )
    return len(got) + length, got


def test_an_answer_whose_client_leaves_in_order_is_confirmed(fake: FakeServicer) -> None:
    queue(fake)
    said = expect(fake)
    sent = form()
    headers = KEY | {"Content-Type": sent["content_type"], "Idempotency-Key": "once"}
    with listening(fake) as front:
        # The connection ends with the answer's object.
        url = front.url + PATH
        told = requests.post(url, data=sent["data"], headers=headers, timeout=10).headers
        assert said.asked.wait(10)
    edit, confirm = fake.calls
    assert confirm.messages == [pb.ConfirmDeliveryRequest(edit_id="e1")]
    assert confirm.metadata["authorization"] == KEY["Authorization"]
    assert confirm.metadata["x-request-id"] == told["x-request-id"]
    assert edit.metadata["idempotency-key"] == "once"
    assert "idempotency-key" not in confirm.metadata
    assert 0 < confirm.time_remaining < 2.5


def test_the_next_request_proves_the_last_answer(fake: FakeServicer) -> None:
    queue(fake)
    said = expect(fake)
    sent = form()
    headers = KEY | {"Content-Type": sent["content_type"]}
    with listening(fake) as front, requests.Session() as session:
        session.post(front.url + PATH, data=sent["data"], headers=headers, timeout=10)
        assert fake.methods == ["EditImage"]
        session.get(front.url + "/healthz", timeout=10)
        assert said.asked.wait(10)
        session.get(front.url + "/healthz", timeout=10)  # and only once
    assert fake.methods == ["EditImage", "ConfirmDelivery"]


@pytest.mark.parametrize("connection", ["keep-alive", "close"])
@pytest.mark.parametrize("picture", [SMALL, LARGE], ids=["small", "large"])
def test_an_answer_that_is_cut_anywhere_is_not_confirmed(
    fake: FakeServicer, picture: bytes, connection: str
) -> None:
    request = wire(picture, connection)
    with listening(fake) as front:
        for place in range(PLACES):
            if picture is LARGE:
                fake.accept_key()
            queue(fake, picture)
            with socket.create_connection(front.address, timeout=10) as client:
                client.sendall(request)
                size, got = answer_size(client)
                read(client, (size - len(got)) * place // PLACES)
    assert fake.methods.count("ConfirmDelivery") == 0
    assert len(fake.methods) == PLACES * (1 if picture is SMALL else 2)


@pytest.mark.parametrize("connection", ["keep-alive", "close"])
@pytest.mark.parametrize("picture", [SMALL, LARGE], ids=["small", "large"])
def test_the_same_answer_read_to_its_end_is_confirmed(
    fake: FakeServicer, picture: bytes, connection: str
) -> None:
    if picture is LARGE:
        fake.accept_key()
    queue(fake, picture)
    said = expect(fake)
    with (
        listening(fake) as front,
        socket.create_connection(front.address, timeout=10) as client,
    ):
        client.sendall(wire(picture, connection))
        size, got = answer_size(client)
        read(client, size - len(got))
        client.close()
        assert said.asked.wait(10)


def test_a_reset_after_the_last_byte_is_not_confirmed(fake: FakeServicer) -> None:
    queue(fake)
    with (
        listening(fake) as front,
        socket.create_connection(front.address, timeout=10) as client,
    ):
        client.sendall(wire())
        size, got = answer_size(client)
        read(client, size - len(got))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    assert fake.methods == ["EditImage"]


@pytest.mark.parametrize(
    "fault", [Fault(grpc.StatusCode.UNAVAILABLE), Fault(grpc.StatusCode.UNAUTHENTICATED, "X")]
)
def test_a_confirmation_that_fails_disturbs_nobody(fake: FakeServicer, fault: Fault) -> None:
    said = fake.queue("ConfirmDelivery", fault)
    sent = form()
    headers = KEY | {"Content-Type": sent["content_type"]}
    with listening(fake) as front, requests.Session() as session:
        queue(fake)
        assert session.post(front.url + PATH, data=sent["data"], headers=headers, timeout=10).ok
        assert session.get(front.url + "/healthz", timeout=10).ok
        assert said.asked.wait(10)
        assert session.get(front.url + "/healthz", timeout=10).ok
    assert {line["event"] for line in front.log} == {"request"}


def test_what_is_no_edit_is_not_confirmed(fake: FakeServicer) -> None:
    sent = form()
    headers = KEY | {"Content-Type": sent["content_type"]}
    fake.queue("EditImage", Fault(grpc.StatusCode.UNAVAILABLE, "UPSTREAM_ERROR"))
    fake.queue("EditImage", edited())  # of a service that names no edit
    with listening(fake) as front, requests.Session() as session:
        for status in (502, 200):
            answer = session.post(front.url + PATH, data=sent["data"], headers=headers, timeout=10)
            assert answer.status_code == status
        session.get(front.url + "/healthz", timeout=10)
    assert fake.methods == ["EditImage", "EditImage"]


def test_a_replay_is_told_by_trailing_metadata(fake: FakeServicer) -> None:
    replayed = (("idempotent-replayed", "true"),)
    fake.queue("EditImage", edited(), metadata=LIMITS, trailing=replayed)
    fake.accept_key()
    fake.queue("StreamEditImage", streamed(LARGE), metadata=LIMITS, trailing=replayed)
    fault = Fault(grpc.StatusCode.UNAVAILABLE, "UPSTREAM_ERROR")
    fake.queue("EditImage", fault, metadata=LIMITS, trailing=replayed)
    fake.queue("EditImage", edited(), metadata=LIMITS)
    with in_process(fake) as front:
        for sent, status, told in (
            (form(), 200, "true"),
            (form(image=bytes(1_048_577)), 200, "true"),
            (form(), 502, "true"),
            (form(), 200, None),
        ):
            answer = front.app.test_client().post(PATH, **sent, headers=KEY)
            assert answer.status_code == status
            assert answer.headers.get("idempotent-replayed") == told
            assert answer.headers["X-RateLimit-Limit"] == "60"


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Our end and the client's of one TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        ours, _ = server.accept()
        with client, ours:
            yield ours, client


@pytest.mark.parametrize(("seconds", "confirmed"), [(QUIET - 0.1, 0), (QUIET, 1)])
def test_a_client_that_long_rests_has_its_answer(
    pair: tuple[socket.socket, socket.socket], seconds: float, confirmed: int
) -> None:
    now, told = [100.0], list[int]()
    arrival = Arrival(lambda: now[0])
    pair[0].sendall(b"answer")
    assert pair[1].recv(6) == b"answer"
    arrival.written(lambda: told.append(1), closes=False)
    now[0] += seconds
    arrival.ended(pair[0])
    arrival.ended(pair[0])
    assert len(told) == confirmed


def test_a_client_that_acknowledges_nothing_more_has_no_answer(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, _ = pair
    now, told = [100.0], list[int]()
    arrival = Arrival(lambda: now[0])
    ours.setblocking(False)
    while True:  # until both kernels are full
        try:
            ours.send(bytes(1_000_000))
        except BlockingIOError:
            break
    arrival.written(lambda: told.append(1), closes=False)
    now[0] += QUIET * 10
    arrival.ended(ours)
    assert told == []


def test_a_closed_socket_proves_nothing(pair: tuple[socket.socket, socket.socket]) -> None:
    told = list[int]()
    for closes in (False, True):
        arrival = Arrival()
        arrival.written(lambda: told.append(1), closes=closes)
        pair[0].close()
        arrival.ended(pair[0])
    assert told == []
