"""The front's metrics beyond what every answer counts: refusals of its own, places, the drain."""

from __future__ import annotations

import io
import socket
from collections.abc import Iterator
from threading import Event, Thread

import grpc
import pytest
from flask.testing import FlaskClient

from gateway_http.app import create_app
from gateway_http.channel import Service
from gateway_http.drain import Drain
from gateway_http.journal import Journal
from gateway_http.listener import Listener
from gateway_http.metrics import Metrics
from gateway_http.settings import Settings
from tests.fake_servicer import FakeServicer, Fault, serving
from tests.front_running import KEY, Front, edited, form, in_process
from tests.running import eventually
from tests.scrapes import Samples, grown, samples

REFUSALS = "imageedit_http_refusals_total"


@pytest.fixture
def fake() -> Iterator[FakeServicer]:
    with serving() as fake:
        yield fake


@pytest.fixture
def front(fake: FakeServicer) -> Iterator[Front]:
    with in_process(fake) as front:
        yield front


def page(client: FlaskClient) -> Samples:
    return samples(client.get("/metrics").text)


def test_refusals_of_its_own_are_told_from_the_services(fake: FakeServicer, front: Front) -> None:
    client = front.app.test_client()
    before = page(client)
    fake.accept_key()
    assert client.post("/v1/images/edits", **form(n="2"), headers=KEY).status_code == 400
    assert client.get("/nowhere").status_code == 404
    assert client.put("/v1/images/edits").status_code == 405
    fake.queue("EditImage", Fault(grpc.StatusCode.FAILED_PRECONDITION, "INSUFFICIENT_CREDITS"))
    assert client.post("/v1/images/edits", **form(), headers=KEY).status_code == 402
    fake.queue("GetModel", Fault(grpc.StatusCode.FAILED_PRECONDITION, "MODEL_CAPABILITY_MISMATCH"))
    assert client.get("/v1/models/a/b").status_code == 404
    fake.queue("GetCredits", Fault(grpc.StatusCode.UNAUTHENTICATED, "INVALID_API_KEY"))
    assert client.get("/v1/credits", headers=KEY).status_code == 401
    front.drain.begin()
    assert client.post("/v1/images/edits", **form(), headers=KEY).status_code == 503
    found = grown(before, page(client), REFUSALS)
    expected = {("front", "400"): 1, ("front", "404"): 1, ("front", "405"): 1, ("front", "503"): 1}
    assert found == expected


def test_places_and_the_drain_show(fake: FakeServicer, front: Front) -> None:
    hold = Event()
    queued = fake.queue("EditImage", edited(), hold=hold)
    client = front.app.test_client()

    def shown(name: str) -> float:
        return page(client)[(f"imageedit_http_{name}", ())]

    held = Thread(
        target=lambda: front.app.test_client().post("/v1/images/edits", **form(), headers=KEY)
    )
    held.start()
    assert queued.asked.wait(10)
    assert (shown("edits_held"), shown("draining"), shown("requests_capacity")) == (1, 0, 320)
    front.drain.begin()
    assert shown("draining") == 1
    hold.set()
    held.join()
    assert shown("edits_held") == 0


def test_what_the_connection_refuses_is_counted(fake: FakeServicer) -> None:
    chosen, journal, metrics = (
        Settings(grpc_address=fake.address),
        Journal(io.StringIO()),
        Metrics(),
    )
    service = Service(chosen)
    app = create_app(chosen, service, journal, drain=Drain(), metrics=metrics)
    listener = Listener(("127.0.0.1", 0), app, 4, journal, metrics=metrics)
    listener.prepare()
    serving_ = Thread(target=listener.serve)
    serving_.start()
    try:
        before = page(app.test_client())
        with socket.create_connection(listener.bind_addr) as client:
            client.sendall(b"nonsense\r\n\r\n")
            assert b" 400 " in client.recv(1_000)
        wanted = {("connection", "400"): 1}
        assert eventually(lambda: grown(before, page(app.test_client()), REFUSALS) == wanted)
    finally:
        listener.stop()
        serving_.join()
        service.close()
