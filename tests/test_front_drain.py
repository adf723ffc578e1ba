"""SIGTERM to `python -m gateway_http` with edits under way, amid a crowd of slow clients."""

from __future__ import annotations

import json
import signal
import threading
import time
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path

import requests

from sandbox.server import SandboxServer
from tests.edits import Edit
from tests.gateway_programs import GatewayPrograms, gateway_programs
from tests.interrupted import prepared
from tests.running import eventually
from tests.wire import EDITS, client, get

HELD = 20
HALF = f"POST {EDITS} HTTP/1.1\r\nHost: x\r\nX-Half: ".encode()
STALLED = f"POST {EDITS} HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n--b\r\n".encode()
REFUSED = f"POST {EDITS} HTTP/1.1\r\nHost: x\r\nContent-Length: 90000000\r\n\r\n--b\r\n".encode()


def send(front: GatewayPrograms, number: int) -> requests.Response:
    edit = Edit({"prompt": f"{number} [sandbox echo delay=3]"})
    with requests.Session() as session:
        return session.send(prepared(front.url, edit, front.authorization), timeout=30)


def test_held_edits_end_well_and_slow_clients_delay_nothing(tmp_path: Path) -> None:
    with (
        SandboxServer() as sandbox,
        gateway_programs(sandbox.environment(), tmp_path) as front,
        ExitStack() as crowd,
    ):
        host, port = front.url.removeprefix("http://").split(":")
        for sent in [HALF] * 50 + [STALLED] * 20 + [get()] * 20 + [REFUSED] * 20:
            crowd.enter_context(client((host, int(port)))).sendall(sent)
        ended: list[int] = []

        def hold(number: int) -> None:
            ended.append(send(front, number).status_code)

        threads = [threading.Thread(target=hold, args=(number,)) for number in range(HELD)]
        for thread in threads:
            thread.start()
        assert eventually(lambda: len(sandbox.calls) == HELD, 20)

        process = front.front_program.process
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert eventually(lambda: requests.get(f"{front.url}/readyz", timeout=5).status_code == 503)
        assert time.monotonic() - began < 1
        refused = send(front, HELD)
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
        assert refused.headers["Connection"] == "close"
        assert refused.json()["error"]["code"] == "upstream_error"
        assert requests.get(f"{front.url}/healthz", timeout=5).status_code == 200
        assert ended == []

        assert process.wait(30) == 0
        for thread in threads:
            thread.join()
        said = front.front_program.wait_for('"event":"stopped"')
    assert ended == [200] * HELD
    lines = [json.loads(line) for line in front.front_program.lines if line]
    answered = [line["time"] for line in lines if line["event"] == "request"]
    stopped = datetime.fromisoformat(json.loads(said)["time"])
    assert stopped - datetime.fromisoformat(max(answered)) < timedelta(seconds=1)
