"""`python -m cli.gateway`: front and service in one process, whose threads are for both."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import requests

from sandbox.server import SandboxServer
from tests.edits import Edit
from tests.interrupted import prepared
from tests.paid_keys import paid_secret
from tests.programs import program
from tests.running import eventually
from tests.wire import client

LEFT = 70  # more than the threads that are spare


@contextmanager
def one_process(environment: Mapping[str, str], folder: Path) -> Iterator[tuple[str, str]]:
    """Run the gateway on free ports; yield its URL and a live key."""
    database = f"sqlite:///{folder / 'imageedit.db'}"
    settings = {
        "IMAGEEDIT_DATABASE_URL": database,
        "IMAGEEDIT_GRPC_ADDRESS": "127.0.0.1:0",
        "IMAGEEDIT_HTTP_ADDRESS": "127.0.0.1:0",
        **environment,
    }
    key = paid_secret(database)
    with program("-m", "cli.gateway", environment=settings, folder=folder) as gateway:
        port = json.loads(gateway.wait_for('"host"'))["port"]
        yield f"http://127.0.0.1:{port}", key


def test_edits_whose_callers_left_take_no_thread_of_others(tmp_path: Path) -> None:
    """Each is carried on once a vendor has it."""
    with SandboxServer() as sandbox:
        environment = sandbox.environment() | {"IMAGEEDIT_HTTP_THREADS": "4"}
        with one_process(environment, tmp_path) as (url, key):
            host, port = url.removeprefix("http://").split(":")
            asked = prepared(
                url, Edit({"prompt": "x [sandbox delay=60]"}), {"authorization": f"Bearer {key}"}
            )
            head = "".join(f"{name}: {value}\r\n" for name, value in asked.headers.items())
            whole = f"POST {asked.path_url} HTTP/1.1\r\nHost: x\r\n{head}\r\n".encode() + asked.body
            for number in range(LEFT):
                with client((host, int(port))) as one:
                    one.sendall(whole)
                    assert eventually(lambda sent=number: len(sandbox.calls) > sent, 20), number
            assert requests.get(f"{url}/readyz", timeout=15).status_code == 200
