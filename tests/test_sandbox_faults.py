"""Faults on request, as a client meets them, at every vendor."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from PIL import ImageChops, ImageStat

from sandbox import faults
from sandbox.faults import FAULTS, Stage
from sandbox.server import SandboxServer
from tests.sandbox_client import (
    KEY,
    OPENAI,
    VENDORS,
    ask,
    file,
    openai,
    openrouter,
    part,
    picture,
    result,
    siliconflow,
)


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxServer]:
    with SandboxServer() as running:
        yield running


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("silent", requests.ReadTimeout),
        ("drip_headers", requests.ReadTimeout),
        ("reset", requests.ConnectionError),
        ("close", requests.ConnectionError),
        ("cut=20", requests.exceptions.ChunkedEncodingError),
    ],
)
def test_a_broken_connection_is_broken(
    server: SandboxServer, vendor: str, fault: str, error: type[Exception]
) -> None:
    # A header line each five seconds is silence to a client that waits for half a second.
    words = "drip_headers=0.2" if fault == "drip_headers" else fault
    with pytest.raises(error):
        ask(server, vendor, f"sepia [sandbox fault={words}]", timeout=0.5)


def test_a_reset_is_a_reset_and_a_close_is_an_end(server: SandboxServer) -> None:
    for fault, reset in (("reset", True), ("close", False)):
        with pytest.raises(requests.ConnectionError) as caught:
            ask(server, "openrouter", f"[sandbox {fault}] sepia")
        assert ("ConnectionResetError" in repr(caught.value)) is reset


def test_a_dripping_body_outlives_a_time_out_of_each_read(server: SandboxServer) -> None:
    began = time.monotonic()
    with requests.Session() as session:
        form = {"model": "gpt-image-1.5", "prompt": "blur [sandbox drip_body=20]"}
        files = [part(file(picture()))]
        url = server.url + OPENAI
        response = session.post(url, form, files=files, headers=KEY, timeout=2, stream=True)
        for _ in range(4):
            assert len(response.raw.read(1)) == 1
        response.close()
    assert 0.1 < time.monotonic() - began < 3


ERRORS = {
    "error400": {400},
    "moderation": {400, 403, 451},
    "error401": {401},
    "quota": {402, 403, 429},
    "error429": {429},
    "error500": {500},
    "error503": {503},
    "html502": {502},
    "html504": {504},
    "gone": {400, 404},
}


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("fault", ERRORS)
def test_an_error_has_the_vendors_status_and_shape(
    server: SandboxServer, vendor: str, fault: str
) -> None:
    response = ask(server, vendor, f"sepia [sandbox fault={fault}]")
    assert response.status_code in ERRORS[fault]
    if fault.startswith("html"):
        assert response.headers["content-type"] == "text/html"
        return
    body = response.json()
    if vendor == "openai":
        assert set(body["error"]) == {"message", "type", "param", "code"}
    elif vendor == "openrouter":
        assert body["error"]["code"] == response.status_code
    else:
        assert isinstance(body, str) or "message" in body
    if fault == "error429":
        assert response.headers["retry-after"] == "7"


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_200_without_a_picture(server: SandboxServer, vendor: str) -> None:
    garbage = ask(server, vendor, "[sandbox garbage]")
    assert garbage.status_code == 200
    with pytest.raises(ValueError, match=r".+"):
        garbage.json()
    empty = ask(server, vendor, "[sandbox empty] x").json()
    assert empty["images" if vendor == "siliconflow" else "data"] == []
    with pytest.raises(OSError, match="cannot identify"):
        result(ask(server, vendor, "[sandbox badpicture] x"))


def test_errors_that_only_one_vendor_has(server: SandboxServer) -> None:
    inside = ask(server, "openrouter", "x [sandbox error_in_200]")
    assert (inside.status_code, inside.json()["error"]["code"]) == (200, 502)
    bare = ask(server, "siliconflow", "x [sandbox bare_string]")
    assert isinstance(bare.json(), str)
    assert ask(server, "openai", "x [sandbox bare_string]").status_code == 400
    assert ask(server, "openai", "x [sandbox private_url]").status_code == 400


@pytest.mark.parametrize("vendor", VENDORS)
def test_the_picture_itself_is_wrong(server: SandboxServer, vendor: str) -> None:
    assert result(ask(server, vendor, "x [sandbox jpeg]")).format == "JPEG"
    assert result(ask(server, vendor, "x [sandbox square]")).size == (1024, 1024)


def test_content_is_moved_or_enlarged(server: SandboxServer) -> None:
    plain = result(ask(server, "openrouter", "sepia"))
    moved = result(ask(server, "openrouter", "sepia [sandbox shift=8]"))
    assert moved.getpixel((508, 408)) == plain.getpixel((500, 400))
    larger = result(ask(server, "openrouter", "sepia [sandbox scale=1.5]"))
    assert larger.size == plain.size
    assert larger.tobytes() != plain.tobytes()
    unchanged = result(ask(server, "openrouter", "sepia [sandbox unchanged]"))
    difference = ImageChops.difference(unchanged, picture().resize(unchanged.size))
    assert max(ImageStat.Stat(difference).mean) < 3


@pytest.mark.parametrize("vendor", VENDORS)
def test_an_echo_is_the_picture_that_was_sent(server: SandboxServer, vendor: str) -> None:
    assert result(ask(server, vendor, "x [sandbox echo]")).tobytes() == picture().tobytes()


def test_addresses_that_must_not_be_followed(server: SandboxServer) -> None:
    def url(fault: str) -> str:
        answer = siliconflow(server, prompt=f"sepia [sandbox fault={fault}]")
        return str(answer.json()["images"][0]["url"])

    assert url("private_url").startswith("https://10.")
    assert url("wronghost_url").startswith("https://results.example.net/")
    assert requests.get(url("notfound_url"), timeout=5).status_code == 404
    redirect = requests.get(url("redirect_url"), timeout=5, allow_redirects=False)
    assert redirect.status_code == 302
    assert redirect.headers["location"].startswith("http://169.254.169.254/")
    with pytest.raises(requests.ConnectionError):  # a time-out while the body comes
        _ = requests.get(url("slow_url=0.5"), timeout=0.3).content
    with requests.get(url("huge_url=30"), timeout=5, stream=True) as huge:
        assert int(huge.headers["content-length"]) > 30_000_000
        assert sum(len(block) for block in huge.iter_content(1 << 20)) > 30_000_000


def test_a_huge_body_is_as_huge_as_asked(server: SandboxServer) -> None:
    response = openai(server, prompt="x [sandbox hugebody=3]")
    assert len(response.content) > 3_000_000


def test_a_delay_delays_and_a_client_that_leaves_is_noticed(server: SandboxServer) -> None:
    began = time.monotonic()
    assert ask(server, "openai", "sepia [sandbox delay=0.3]").ok
    assert time.monotonic() - began > 0.3
    server.forget_calls()
    with pytest.raises(requests.ReadTimeout):
        ask(server, "openai", "sepia [sandbox delay=30]", timeout=0.2)
    until = time.monotonic() + 2
    while not server.calls[0].hung_up and time.monotonic() < until:
        time.sleep(0.01)
    assert (server.calls[0].hung_up, server.calls[0].status) == (True, None)


def test_a_bracket_may_be_for_one_vendor_or_for_the_first_requests(server: SandboxServer) -> None:
    prompt = "sepia [sandbox at=openrouter error500] [sandbox at=openai first=2 error503]"
    statuses = [ask(server, "openai", prompt).status_code for _ in range(3)]
    assert statuses == [503, 503, 200]
    assert ask(server, "openrouter", prompt).status_code == 500
    assert ask(server, "siliconflow", prompt).status_code == 200


def test_an_unknown_directive_is_refused(server: SandboxServer) -> None:
    for words in ("fault=explode", "cut=many", "reset=1", "delay=x"):
        response = ask(server, "openai", f"sepia [sandbox {words}]")
        assert response.status_code == 400
        assert "sandbox" in response.json()["error"]["message"]


def test_a_malformed_request_is_refused_whatever_it_asks_for(server: SandboxServer) -> None:
    assert openai(server, prompt="x [sandbox error500]", seed="1").status_code == 400


@given(st.text(), st.sampled_from(sorted(FAULTS)))
def test_directives_leave_no_trace_in_the_prompt(prompt: str, name: str) -> None:
    rest, directives = faults.read(f"{prompt} [sandbox {name}]", "openai", lambda: 0)
    assert "[sandbox" not in rest or "[sandbox" in prompt
    assert name in directives
    assert directives.at(FAULTS[name].stage)


def test_every_stage_has_faults() -> None:
    assert {fault.stage for fault in FAULTS.values()} == set(Stage)


def test_a_client_that_resets_does_no_harm(server: SandboxServer) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    for _ in range(3):
        client = socket.create_connection((host, int(port)))
        client.sendall(b"POST /openai/v1/images/edits HTTP/1.1\r\ncontent-length: 50\r\n\r\nhalf")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    assert requests.get(server.url + "/healthz", timeout=5).json()["sandbox"] is True


@pytest.mark.parametrize("vendor", ["openai", "openrouter"])
def test_a_stream_comes_event_by_event_and_may_end_in_an_error(
    server: SandboxServer, vendor: str
) -> None:
    began = time.monotonic()
    prompt = "sepia [sandbox late moderation gap=0.1]"
    if vendor == "openai":
        answer = openai(server, prompt=prompt, stream="true", partial_images="2")
    else:
        answer = openrouter(server, prompt=prompt, stream=True)
    assert time.monotonic() - began > 0.2
    assert answer.headers["transfer-encoding"] == "chunked"
    kinds = [line for line in answer.text.splitlines() if line.startswith("event: ")]
    assert len(kinds) == 3
    assert kinds[-1] == "event: error"
    assert "completed" not in answer.text
