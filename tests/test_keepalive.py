"""Peers that hang with their connection open are noticed, on both sides of it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import grpc

from gateway_http.channel import OPTIONS
from imageedit.v1.image_edit_pb2_grpc import ImageEditStub
from sandbox.server import SandboxServer
from server.grpc_server import MIN_PING_MS
from server.patience import Patience
from tests.edits import Edit, message
from tests.lone_service import lone_service
from tests.paid_keys import paid_secret
from tests.programs import program
from tests.running import eventually

NOTICED = 60.0
"""Seconds within which a half-open peer is noticed."""


def test_what_is_set_keeps_the_promise() -> None:
    front, patience = dict(OPTIONS), Patience()
    ping, pong = front["grpc.keepalive_time_ms"], front["grpc.http2.ping_timeout_ms"]
    assert patience.ping + patience.pong <= NOTICED
    assert (ping + pong) / 1000 <= NOTICED
    assert ping > MIN_PING_MS  # asked more often, the service would hang up
    assert front["grpc.http2.max_pings_without_data"] == 0  # a silent edit takes minutes


def test_a_caller_that_hangs_is_noticed_and_what_it_held_is_free(
    sandbox: SandboxServer, tmp_path: Path
) -> None:
    patience = Patience(chunk=60, ping=0.5, pong=0.5)
    with lone_service(sandbox, tmp_path, patience) as service:
        key = service.metadata()[0][1].removeprefix("Bearer ")
        arguments = ("-m", "tests.stalled_caller", service.service.address, key)
        with program(*arguments, environment={}, folder=tmp_path) as caller:
            caller.wait_for("begun")
            assert eventually(lambda: service.admission.bytes_in_flight == 1024)
            # Answering pings, a caller may be silent for as long as its upload may.
            assert not eventually(lambda: service.admission.receiving == 0, 2)
            os.kill(caller.process.pid, signal.SIGSTOP)
            assert eventually(lambda: service.admission.receiving == 0, 5)
            assert eventually(lambda: service.admission.bytes_in_flight == 0)


def test_a_caller_that_pings_during_a_silent_edit_is_not_hung_up_on(
    sandbox: SandboxServer, tmp_path: Path
) -> None:
    """Four pings in a silent edit: gRPC's default is to bear two too many, then to hang up."""
    options = (
        ("grpc.keepalive_time_ms", 600),
        ("grpc.keepalive_timeout_ms", 5_000),
        ("grpc.http2.max_pings_without_data", 0),
    )
    slow = message(Edit({"prompt": "sepia [sandbox delay=4]"}), inline=True)
    with (
        lone_service(sandbox, tmp_path, Patience(ping=0.5)) as service,
        grpc.insecure_channel(service.service.address, options) as channel,
    ):
        stub = ImageEditStub(channel)
        assert stub.EditImage(slow, metadata=service.metadata()).model == "openai/gpt-image-1.5"


def test_a_service_that_hangs_is_noticed_during_an_edit(
    sandbox: SandboxServer, tmp_path: Path
) -> None:
    quick = {"grpc.keepalive_time_ms": 500, "grpc.keepalive_timeout_ms": 500}
    quick["grpc.http2.ping_timeout_ms"] = 500
    database = f"sqlite:///{tmp_path / 'imageedit.db'}"
    environment = sandbox.environment() | {
        "IMAGEEDIT_DATABASE_URL": database,
        "IMAGEEDIT_GRPC_ADDRESS": "127.0.0.1:0",
    }
    metadata = (("authorization", f"Bearer {paid_secret(database)}"),)
    sandbox.forget_calls()
    with program("-m", "server", environment=environment, folder=tmp_path) as service:
        address = str(service.event("listening")["address"])
        with grpc.insecure_channel(address, tuple((dict(OPTIONS) | quick).items())) as channel:
            silent = message(Edit({"prompt": "sepia [sandbox silent]"}), inline=True)
            call = ImageEditStub(channel).EditImage.future(silent, metadata=metadata)
            assert eventually(lambda: bool(sandbox.calls), 10)
            os.kill(service.process.pid, signal.SIGSTOP)
            assert call.exception(10).code() is grpc.StatusCode.UNAVAILABLE
