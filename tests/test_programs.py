"""The programs as an operator runs them: addresses, TLS, reflection, signals, bad settings."""

from __future__ import annotations

import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shutil import which

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from imageedit.v1 import image_edit_pb2 as pb
from imageedit.v1.image_edit_pb2_grpc import ImageEditStub
from sandbox.server import SandboxServer
from tests.edits import Edit, message
from tests.paid_keys import paid_secret
from tests.programs import Program, program


@pytest.fixture
def environment(sandbox: SandboxServer, tmp_path: Path) -> dict[str, str]:
    return sandbox.environment() | {
        "IMAGEEDIT_GRPC_ADDRESS": "127.0.0.1:0",
        "IMAGEEDIT_DATABASE_URL": f"sqlite:///{tmp_path / 'keys.db'}",
    }


@pytest.fixture
def metadata(environment: dict[str, str]) -> tuple[tuple[str, str], ...]:
    secret = paid_secret(environment["IMAGEEDIT_DATABASE_URL"])
    return (("authorization", f"Bearer {secret}"),)


def test_the_service_serves_on_a_unix_socket(
    environment: dict[str, str], metadata: tuple[tuple[str, str], ...], tmp_path: Path
) -> None:
    address = f"unix:{tmp_path / 'service.sock'}"
    environment["IMAGEEDIT_GRPC_ADDRESS"] = address
    with program("-m", "server", environment=environment, folder=tmp_path) as service:
        assert service.event("listening")["address"] == address
        with grpc.insecure_channel(address) as channel:
            answer = ImageEditStub(channel).EditImage(
                message(Edit(), inline=True), metadata=metadata, timeout=20
            )
        assert answer.model == "openai/gpt-image-1.5"
        assert service.end(signal.SIGTERM) == 0


def test_sigterm_lets_held_edits_end_and_refuses_new_ones(
    environment: dict[str, str], metadata: tuple[tuple[str, str], ...], tmp_path: Path
) -> None:
    with program("-m", "server", environment=environment, folder=tmp_path) as service:
        address = str(service.event("listening")["address"])
        with grpc.insecure_channel(address) as channel, ThreadPoolExecutor(8) as pool:
            stub = ImageEditStub(channel)
            slow = message(Edit({"prompt": "sepia [sandbox delay=2]"}), inline=True)
            held = [
                pool.submit(stub.EditImage, slow, metadata=metadata, timeout=30) for _ in range(5)
            ]
            watcher = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
            assert next(watcher).status == health_pb2.HealthCheckResponse.SERVING
            for future in held:
                assert not future.done()
            _wait_until_held(service, stub, metadata)
            service.process.send_signal(signal.SIGTERM)
            assert next(watcher).status == health_pb2.HealthCheckResponse.NOT_SERVING
            service.wait_for("draining")
            with pytest.raises(grpc.RpcError, match="shutting down") as caught:
                stub.EditImage(message(Edit(), inline=True), metadata=metadata, timeout=10)
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
            assert [future.result().model for future in held] == ["openai/gpt-image-1.5"] * 5
        assert service.process.wait(10) == 0


def _wait_until_held(
    service: Program, stub: ImageEditStub, metadata: tuple[tuple[str, str], ...]
) -> None:
    """Return when the edits sent before are surely under way: a later small call came through."""
    stub.CheckKey(pb.CheckKeyRequest(), metadata=metadata)
    service.wait_for('"CheckKey"')
    stub.EditImage(
        message(Edit({"prompt": "sepia [sandbox delay=0.5]"}), inline=True), metadata=metadata
    )


def test_a_second_signal_stops_now(
    environment: dict[str, str], metadata: tuple[tuple[str, str], ...], tmp_path: Path
) -> None:
    with program("-m", "server", environment=environment, folder=tmp_path) as service:
        address = str(service.event("listening")["address"])
        with grpc.insecure_channel(address) as channel:
            stub = ImageEditStub(channel)
            silent = message(Edit({"prompt": "sepia [sandbox silent]"}), inline=True)
            held = stub.EditImage.future(silent, metadata=metadata)
            _wait_until_held(service, stub, metadata)
            service.process.send_signal(signal.SIGINT)
            service.wait_for("draining")
            assert service.end(signal.SIGINT, 5) != 0
            assert held.exception(5) is not None


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CA, a server's and a client's certificate, and a stranger's, made by openssl."""
    if which("openssl") is None:
        pytest.skip("openssl is not on this machine")
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    for authority in ("ca", "stranger"):
        openssl(
            *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-keyout", f"{authority}.key", "-out", f"{authority}.pem"),
            *("-subj", f"/CN={authority}"),
        )
    for name, authority in (("server", "ca"), ("client", "ca"), ("intruder", "stranger")):
        openssl(
            *("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key"),
            *("-out", f"{name}.csr", "-subj", f"/CN={name}"),
        )
        (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        openssl(
            *("x509", "-req", "-in", f"{name}.csr", "-CA", f"{authority}.pem", "-CAkey"),
            *(f"{authority}.key", "-CAcreateserial", "-days", "2", "-out", f"{name}.pem"),
            *("-extfile", "names"),
        )
    return folder


def credentials(folder: Path, name: str | None) -> grpc.ChannelCredentials:
    pair = (None, None)
    if name is not None:
        pair = ((folder / f"{name}.key").read_bytes(), (folder / f"{name}.pem").read_bytes())
    return grpc.ssl_channel_credentials((folder / "ca.pem").read_bytes(), *pair)


def test_mutual_tls_lets_in_whom_it_should(
    environment: dict[str, str], certificates: Path, tmp_path: Path
) -> None:
    environment |= {
        "IMAGEEDIT_TLS_CERT": str(certificates / "server.pem"),
        "IMAGEEDIT_TLS_KEY": str(certificates / "server.key"),
        "IMAGEEDIT_TLS_CLIENT_CA": str(certificates / "ca.pem"),
    }
    with program("-m", "server", environment=environment, folder=tmp_path) as service:
        address = str(service.event("listening")["address"])
        channels = {
            "client": grpc.secure_channel(address, credentials(certificates, "client")),
            "intruder": grpc.secure_channel(address, credentials(certificates, "intruder")),
            "nobody": grpc.secure_channel(address, credentials(certificates, None)),
            "plaintext": grpc.insecure_channel(address),
        }
        with channels.pop("client") as channel:
            ImageEditStub(channel).ListModels(pb.ListModelsRequest(), timeout=5)
        for channel in channels.values():
            with channel, pytest.raises(grpc.RpcError) as caught:
                ImageEditStub(channel).ListModels(pb.ListModelsRequest(), timeout=5)
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_a_renewed_certificate_is_used_without_a_restart(
    environment: dict[str, str], certificates: Path, tmp_path: Path
) -> None:
    files = {name: tmp_path / f"own.{name}" for name in ("pem", "key")}

    def install(name: str) -> None:
        for suffix, path in files.items():
            path.write_bytes((certificates / f"{name}.{suffix}").read_bytes())

    def answers(authority: str) -> bool:
        trusted = (certificates / authority).read_bytes()
        with grpc.secure_channel(address, grpc.ssl_channel_credentials(trusted)) as channel:
            try:
                ImageEditStub(channel).ListModels(pb.ListModelsRequest(), timeout=5)
            except grpc.RpcError as error:
                return error.code() is not grpc.StatusCode.UNAVAILABLE
            return True

    install("server")
    environment |= {
        "IMAGEEDIT_TLS_CERT": str(files["pem"]),
        "IMAGEEDIT_TLS_KEY": str(files["key"]),
    }
    with program("-m", "server", environment=environment, folder=tmp_path) as service:
        address = str(service.event("listening")["address"])
        assert (answers("ca.pem"), answers("stranger.pem")) == (True, False)
        # Half of a pair, as while it is written: the one before goes on.
        files["pem"].write_bytes((certificates / "intruder.pem").read_bytes())
        assert (answers("ca.pem"), answers("stranger.pem")) == (True, False)
        install("intruder")
        assert (answers("ca.pem"), answers("stranger.pem")) == (False, True)
        files["key"].unlink()
        assert answers("stranger.pem")


def test_reflection_is_there_when_switched_on(environment: dict[str, str], tmp_path: Path) -> None:
    environment["IMAGEEDIT_GRPC_REFLECTION"] = "1"
    with program("-m", "server", environment=environment, folder=tmp_path) as service:
        with grpc.insecure_channel(str(service.event("listening")["address"])) as channel:
            reflection = reflection_pb2_grpc.ServerReflectionStub(channel)
            request = reflection_pb2.ServerReflectionRequest(list_services="")
            (answer,) = reflection.ServerReflectionInfo(iter([request]))
        names = {entry.name for entry in answer.list_services_response.service}
        assert "imageedit.v1.ImageEdit" in names


BAD = [
    ({"IMAGEEDIT_GRPC_ADDRESS": "0.0.0.0:50051"}, "IMAGEEDIT_TLS_CERT"),
    ({"IMAGEEDIT_GRPC_ADDRESS": "127.0.0.1:1"}, "IMAGEEDIT_GRPC_ADDRESS"),
    ({"IMAGEEDIT_ATTEMPT_TIMEOUT": "never"}, "IMAGEEDIT_ATTEMPT_TIMEOUT"),
    ({"IMAGEEDIT_CATALOG": "nowhere.toml"}, "IMAGEEDIT_CATALOG"),
]


@pytest.mark.parametrize(("change", "complaint"), BAD)
def test_settings_that_cannot_be_used_end_it_with_one_line(
    environment: dict[str, str], tmp_path: Path, change: dict[str, str], complaint: str
) -> None:
    if change.get("IMAGEEDIT_GRPC_ADDRESS") == "127.0.0.1:1":
        change = {"IMAGEEDIT_GRPC_ADDRESS": f"unix:{tmp_path}"}  # a folder is in the way
    with program("-m", "server", environment=environment | change, folder=tmp_path) as service:
        assert service.process.wait(20) == 2
        service.wait_for(complaint)
        assert not any("Traceback" in line for line in service.lines)
