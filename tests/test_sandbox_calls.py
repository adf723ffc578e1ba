"""What the simulator notes of every request, for tests that count."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

import pytest
import requests

from sandbox.server import SandboxServer
from tests.sandbox_client import VENDORS, ask, file, mask, openai, part, picture, siliconflow


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    with SandboxServer() as running:
        yield running


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_call_is_noted_with_its_fields_and_pictures(server: SandboxServer, vendor: str) -> None:
    ask(server, vendor, "sepia [sandbox shift=2]")
    (call,) = server.calls
    assert (call.method, call.status, call.hung_up) == ("POST", 200, False)
    assert call.headers["authorization"] == "Bearer ***"
    assert call.fields["prompt"] == "sepia [sandbox shift=2]"
    assert call.faults == {"shift": 2.0}
    (sent,) = call.pictures
    data = file(picture())
    assert (sent.width, sent.height, sent.mode) == (96, 64, "RGB")
    assert (sent.sha256, sent.byte_count) == (sha256(data).hexdigest(), len(data))


def test_refused_calls_and_downloads_are_noted_too(server: SandboxServer) -> None:
    openai(server, seed="1")
    requests.post(server.url + "/openai/v1/images/edits", timeout=5)
    requests.get(siliconflow(server).json()["images"][0]["url"], timeout=5)
    assert [call.status for call in server.calls] == [400, 401, 200, 200]
    assert "authorization" not in server.calls[-1].headers


def test_calls_can_be_read_and_forgotten_over_http(server: SandboxServer) -> None:
    openai(server, part(file(picture())), part(mask(), name="mask"))
    url = server.url + "/_sandbox/calls"
    (call,) = requests.get(url, timeout=5).json()["calls"]
    assert [sent["name"] for sent in call["pictures"]] == ["image", "mask"]
    assert requests.delete(url, timeout=5).json() == {"calls": []}
    assert server.calls == ()


def test_edits_in_parallel_do_not_disturb_each_other(server: SandboxServer) -> None:
    words = ["error500", "unchanged", "error503", "jpeg"] * 5
    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(lambda word: ask(server, "openai", f"x [sandbox {word}]"), words)
        assert [answer.status_code for answer in answers] == [500, 200, 503, 200] * 5
    assert len(server.calls) == len(words)


def test_the_environment_points_here(server: SandboxServer) -> None:
    settings = server.environment()
    assert settings["OPENAI_BASE_URL"] == server.url + "/openai/v1"
    assert settings["OPENROUTER_BASE_URL"] == server.url + "/openrouter/api/v1"
    assert settings["SILICONFLOW_BASE_URL"] == server.url + "/siliconflow/v1"
    assert settings["IMAGEEDIT_DOWNLOAD_ORIGINS"] == server.url
    assert {settings[f"{name.upper()}_API_KEY"] for name in VENDORS} == {"sandbox"}


def test_closing_ends_calls_that_wait() -> None:
    server = SandboxServer(delay=60).start()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ask, server, "openai", "sepia")
        while not server.calls:
            pass
        server.close()
        assert isinstance(waiting.exception(timeout=5), requests.ConnectionError)
