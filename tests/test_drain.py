"""SIGTERM with twenty held edits, on the service and on `imageedit serve`; and a second signal."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
import requests
from grpc_health.v1 import health_pb2, health_pb2_grpc

from imageedit.v1.image_edit_pb2_grpc import ImageEditStub
from sandbox.server import SandboxServer
from server.accounts.audit import audit
from server.accounts.store import open_store
from tests.edits import IMAGE, Edit, message, told_by_grpc
from tests.paid_keys import paid_secret
from tests.programs import Program, program
from tests.running import eventually

EDITS = 20
SLOW = Edit(
    {"model": "openai/gpt-image-1.5", "prompt": "sepia [sandbox delay=3]", "size": "1024x1024"}
)
SILENT = Edit({"prompt": "sepia [sandbox silent]"})


@pytest.fixture
def environment(sandbox: SandboxServer, tmp_path: Path) -> dict[str, str]:
    sandbox.forget_calls()
    return sandbox.environment() | {
        "IMAGEEDIT_GRPC_ADDRESS": "127.0.0.1:0",
        "IMAGEEDIT_HTTP_ADDRESS": "127.0.0.1:0",
        "IMAGEEDIT_DATABASE_URL": f"sqlite:///{tmp_path / 'accounts.db'}",
    }


@pytest.fixture
def secret(environment: dict[str, str]) -> str:
    return paid_secret(environment["IMAGEEDIT_DATABASE_URL"])


def findings(environment: dict[str, str]) -> list[str]:
    store = open_store(environment["IMAGEEDIT_DATABASE_URL"])
    try:
        return [str(finding) for finding in audit(store)]
    finally:
        store.close()


def states(environment: dict[str, str]) -> set[str]:
    """Return the states of all edits."""
    store = open_store(environment["IMAGEEDIT_DATABASE_URL"])
    with store.read() as connection:
        rows = connection.exec_driver_sql("SELECT DISTINCT state FROM edits").all()
    store.close()
    return {row[0] for row in rows}


def test_the_service_ends_all_that_it_holds(
    environment: dict[str, str], secret: str, sandbox: SandboxServer, tmp_path: Path
) -> None:
    metadata = (("authorization", f"Bearer {secret}"),)
    with (
        program("-m", "server", environment=environment, folder=tmp_path) as service,
        grpc.insecure_channel(str(service.event("listening")["address"])) as channel,
        ThreadPoolExecutor(EDITS) as pool,
    ):
        stub = ImageEditStub(channel)
        slow = message(SLOW, inline=True)
        ended: list[float] = []

        def edit() -> str:
            answer = stub.EditImage(slow, metadata=metadata, timeout=60)
            ended.append(time.monotonic())
            return answer.model

        held = [pool.submit(edit) for _ in range(EDITS)]
        assert eventually(lambda: len(sandbox.calls) == EDITS, 10)
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        told = time.monotonic()
        service.process.send_signal(signal.SIGTERM)
        assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert time.monotonic() - told < 1
        service.wait_for("draining")
        with pytest.raises(grpc.RpcError) as caught:
            stub.EditImage(slow, metadata=metadata, timeout=5)
        refusal = told_by_grpc(caught.value)
        assert (refusal.grpc, refusal.retry_after) == ("UNAVAILABLE", 5)
        assert "shutting down" in refusal.message
        assert [future.result() for future in held] == ["openai/gpt-image-1.5"] * EDITS
        assert service.process.wait(10) == 0
        assert time.monotonic() - max(ended) < 4  # a second, and what a busy machine adds
    assert findings(environment) == []
    assert states(environment) == {"posted"}


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_resolves_what_is_under_way(
    environment: dict[str, str],
    secret: str,
    sandbox: SandboxServer,
    tmp_path: Path,
    second: signal.Signals,
) -> None:
    metadata = (("authorization", f"Bearer {secret}"),)
    with (
        program("-m", "server", environment=environment, folder=tmp_path) as service,
        grpc.insecure_channel(str(service.event("listening")["address"])) as channel,
    ):
        stub = ImageEditStub(channel)
        silent = message(SILENT, inline=True)
        held = [stub.EditImage.future(silent, metadata=metadata) for _ in range(5)]
        assert eventually(lambda: len(sandbox.calls) == 5, 10)
        service.process.send_signal(signal.SIGTERM)
        service.wait_for("draining")
        assert service.end(second, 10) == 1
        assert all(call.exception(5) is not None for call in held)
    assert findings(environment) == []
    assert states(environment) == {"unknown"}  # sent, and nobody knows: the customer pays nothing


@pytest.fixture
def stack(environment: dict[str, str], tmp_path: Path) -> Iterator[Program]:
    """`imageedit serve` as the leader of its own process group, as at a terminal."""
    from cli.stack import free_address

    for name in ("GRPC", "HTTP"):
        environment[f"IMAGEEDIT_{name}_ADDRESS"] = free_address()
    with program("-m", "cli", "serve", environment=environment, folder=tmp_path) as running:
        running.wait_for("A key:")
        yield running
        for pid in children(running):
            os.kill(pid, signal.SIGKILL)


def children(stack: Program) -> list[int]:
    """Return the processes of the stack's group, as proc(5) tells them, but its leader."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and os.getpgid(int(folder.name)) == stack.process.pid:
                found.append(int(folder.name))
        except ProcessLookupError:
            continue
    return [pid for pid in found if pid != stack.process.pid and alive(pid)]


def alive(pid: int) -> bool:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return fields[0] != "Z"


def post(environment: dict[str, str], secret: str, edit: Edit) -> requests.Response:
    return requests.post(
        f"http://{environment['IMAGEEDIT_HTTP_ADDRESS']}/v1/images/edits",
        data=edit.texts(),
        files={"image": IMAGE},
        headers={"authorization": f"Bearer {secret}"},
        timeout=60,
    )


def begin(
    pool: ThreadPoolExecutor, environment: dict[str, str], secret: str, edit: Edit, count: int
) -> list[Future[requests.Response]]:
    return [pool.submit(post, environment, secret, edit) for _ in range(count)]


def test_ctrl_c_at_a_terminal_ends_all_that_is_held(
    environment: dict[str, str],
    secret: str,
    stack: Program,
    sandbox: SandboxServer,
) -> None:
    with ThreadPoolExecutor(EDITS) as pool:
        held = begin(pool, environment, secret, SLOW, EDITS)
        assert eventually(lambda: len(sandbox.calls) == EDITS, 10)
        os.killpg(stack.process.pid, signal.SIGINT)
        url = f"http://{environment['IMAGEEDIT_HTTP_ADDRESS']}"
        assert eventually(lambda: requests.get(f"{url}/readyz", timeout=5).status_code == 503, 2)
        refusal = post(environment, secret, SLOW)
        assert (refusal.status_code, refusal.headers["Retry-After"]) == (503, "1")
        assert [future.result().status_code for future in held] == [200] * EDITS
        ended = time.monotonic()
        assert stack.process.wait(10) == 0
        assert time.monotonic() - ended < 6  # the front and the service, one after the other
    assert children(stack) == []
    assert findings(environment) == []
    assert states(environment) == {"posted"}


def test_a_signal_to_the_whole_group_is_one(
    environment: dict[str, str],
    secret: str,
    stack: Program,
    sandbox: SandboxServer,
) -> None:
    with ThreadPoolExecutor(2) as pool:
        held = begin(pool, environment, secret, Edit({"prompt": "sepia [sandbox delay=2]"}), 2)
        assert eventually(lambda: len(sandbox.calls) == 2, 10)
        (gateway,) = children(stack)
        os.kill(gateway, signal.SIGTERM)
        stack.wait_for('"event":"draining"')
        stack.process.send_signal(signal.SIGTERM)  # which is passed on
        assert [future.result().status_code for future in held] == [200, 200]
        assert stack.process.wait(10) == 0
    assert findings(environment) == []
    assert states(environment) == {"posted"}


def test_a_second_ctrl_c_stops_all_now(
    environment: dict[str, str],
    secret: str,
    stack: Program,
    sandbox: SandboxServer,
) -> None:
    with ThreadPoolExecutor(5) as pool:
        held = begin(pool, environment, secret, SILENT, 5)
        assert eventually(lambda: len(sandbox.calls) == 5, 10)
        os.killpg(stack.process.pid, signal.SIGINT)
        stack.wait_for('"event":"draining"')
        os.killpg(stack.process.pid, signal.SIGINT)
        stack.process.wait(10)
        assert all(future.exception() or future.result().status_code >= 500 for future in held)
    assert children(stack) == []
    assert findings(environment) == []
    assert states(environment) == {"unknown"}


def test_children_do_not_outlive_a_killed_stack(
    environment: dict[str, str],
    secret: str,
    stack: Program,
    sandbox: SandboxServer,
) -> None:
    with ThreadPoolExecutor(2) as pool:
        held = begin(pool, environment, secret, Edit({"prompt": "sepia [sandbox delay=2]"}), 2)
        assert eventually(lambda: len(sandbox.calls) == 2, 10)
        assert len(children(stack)) == 1
        stack.process.kill()
        assert [future.result().status_code for future in held] == [200, 200]
    assert eventually(lambda: children(stack) == [], 10)
    assert findings(environment) == []
