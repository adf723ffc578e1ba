"""The channel to the service: plain, by socket file, by TLS, and after a restart."""

from __future__ import annotations

import socket
from pathlib import Path
from threading import Event
from typing import cast

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckResponse

from gateway_http.channel import Service
from gateway_http.settings import Settings, Tls
from imageedit.v1.image_edit_pb2 import CheckKeyRequest, CheckKeyResponse
from tests.certificates import CA, CLIENT, CLIENT_KEY, SERVER, SERVER_KEY
from tests.fake_servicer import FakeServicer, serving
from tests.front_running import KEY, form, in_process
from tests.running import eventually


def check(settings: Settings) -> str:
    """Return what CheckKey tells, or the status that it fails with."""
    service = Service(settings)
    try:
        return service.images.CheckKey(CheckKeyRequest(), timeout=5).name
    except grpc.RpcError as error:
        return cast("grpc.Call", error).code().name
    finally:
        service.close()


@pytest.mark.parametrize("mutual", [False, True])
def test_tls(mutual: bool) -> None:
    credentials = grpc.ssl_server_credentials(
        [(SERVER_KEY, SERVER)], CA if mutual else None, require_client_auth=mutual
    )
    with serving(credentials=credentials) as fake:
        fake.queue("CheckKey", CheckKeyResponse(name="test"))
        tls = Tls(CA, CLIENT, CLIENT_KEY) if mutual else Tls(CA)
        assert check(Settings(grpc_address=fake.address, tls=tls)) == "test"
        # Neither without TLS, nor with another authority, nor without our certificate.
        assert check(Settings(grpc_address=fake.address)) == "UNAVAILABLE"
        if mutual:
            assert check(Settings(grpc_address=fake.address, tls=Tls(CA))) == "UNAVAILABLE"
        else:
            assert check(Settings(grpc_address=fake.address, tls=Tls(CLIENT))) == "UNAVAILABLE"


def test_a_socket_file(tmp_path: Path) -> None:
    with serving(f"unix:{tmp_path}/service") as fake:
        fake.queue("CheckKey", CheckKeyResponse(name="test"))
        assert check(Settings(grpc_address=fake.address)) == "test"


def test_one_channel_until_it_is_closed() -> None:
    with serving() as fake:
        fake.queue("CheckKey", CheckKeyResponse(name="test"))
        fake.queue("CheckKey", CheckKeyResponse(name="test"))
        service = Service(Settings(grpc_address=fake.address))
        service.images.CheckKey(CheckKeyRequest(), timeout=5)
        service.close()
        service.close()
        service.images.CheckKey(CheckKeyRequest(), timeout=5)
        service.close()


def test_a_service_that_comes_back_is_found_again() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{reserved.getsockname()[1]}"
    absent = FakeServicer()
    absent.address = address
    with in_process(absent) as front:
        client = front.app.test_client()
        assert client.post("/v1/images/edits", **form(), headers=KEY).status_code == 503
        assert client.get("/readyz").status_code == 503
        with serving(address):
            for _ in range(200):
                if (status := client.get("/readyz").status_code) == 200:
                    break
                Event().wait(0.02)
            assert status == 200


def several(*fakes: FakeServicer) -> Settings:
    return Settings(grpc_address=f"ipv4:{','.join(fake.address for fake in fakes)}")


def asked(service: Service, *fakes: FakeServicer) -> list[int]:
    """Return how many of eight calls each of `fakes` gets."""
    before = [len(fake.calls) for fake in fakes]
    for fake in fakes:
        for _ in range(8):
            fake.queue("CheckKey", CheckKeyResponse())
    for _ in range(8):
        service.images.CheckKey(CheckKeyRequest(), timeout=5)
    counts = [len(fake.calls) - begun for fake, begun in zip(fakes, before, strict=True)]
    for fake in fakes:
        fake.forget_queue()
    return counts


def test_several_services_are_asked_in_turn_and_one_that_drains_is_passed_over() -> None:
    with serving() as one, serving() as other:
        service = Service(several(one, other))
        assert eventually(lambda: asked(service, one, other) == [4, 4], 5)
        one.health.set("", HealthCheckResponse.NOT_SERVING)
        assert eventually(lambda: asked(service, one, other) == [0, 8], 5)
        one.health.set("", HealthCheckResponse.SERVING)
        assert eventually(lambda: asked(service, one, other) == [4, 4], 5)
        service.close()


@pytest.mark.parametrize("drains", [False, True])
def test_without_any_service_a_repeat_is_safe_and_said_to_be(drains: bool) -> None:
    with serving() as one, serving() as other:
        front = several(one, other)
        for fake in (one, other):
            fake.health.set("", HealthCheckResponse.NOT_SERVING)
        if not drains:
            front = Settings(grpc_address="dns:///services.invalid:1")
        absent = FakeServicer()
        absent.address = front.grpc_address
        with in_process(absent) as running:
            answer = running.app.test_client().post("/v1/images/edits", **form(), headers=KEY)
        assert answer.status_code == 503
        assert answer.headers["Retry-After"]
        assert "x-should-retry" not in answer.headers
        assert (one.calls, other.calls) == ([], [])
