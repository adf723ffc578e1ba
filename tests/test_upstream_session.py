"""What a provider receives, byte for byte, and what is made of its answer."""

from __future__ import annotations

import gzip
import socket
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import orjson
import pytest

from server.providers.base import Call, FilePart, TextPart
from server.upstream.attempt import Attempt
from server.upstream.exchange import MAX_INTERIM
from server.upstream.session import Cancelled, Endpoint, send
from server.upstream.watchdog import Watchdog
from tests.fault_upstream import (
    CALL,
    CHUNKED,
    KEY,
    OK,
    Behaviour,
    Connection,
    FaultUpstream,
    answering,
    certificate,
    endpoint,
    response,
)


@pytest.fixture(scope="module")
def watchdog() -> Iterator[Watchdog]:
    watchdog = Watchdog()
    yield watchdog
    watchdog.close()


@pytest.fixture
def attempt(watchdog: Watchdog) -> Iterator[Attempt]:
    with Attempt(5, watchdog) as attempt:
        yield attempt


@pytest.fixture
def upstream() -> Iterator[FaultUpstream]:
    with FaultUpstream(answering(response())) as upstream:
        yield upstream


def test_a_json_call_on_the_wire(upstream: FaultUpstream, attempt: Attempt) -> None:
    call = Call("/images", json={"prompt": "Blümchen", "input_references": [{"type": "x"}]})
    send(call, endpoint(upstream.origin), attempt)
    (request,) = upstream.requests
    assert request.line == "POST /v1/images HTTP/1.1"
    assert orjson.loads(request.body) == call.json
    assert dict(request.headers) == {
        "host": f"127.0.0.1:{upstream.port}",
        "authorization": f"Bearer {KEY}",
        "accept": "application/json",
        "accept-encoding": "identity",
        "content-type": "application/json",
        "content-length": str(len(request.body)),
        "user-agent": f"imageedit-gateway/{version('imageedit-gateway')}",
    }
    assert len(request.headers) == 7


def test_a_multipart_call_on_the_wire(upstream: FaultUpstream, attempt: Attempt) -> None:
    picture = bytes(range(256)) + b"\r\n--\r\n"
    call = Call(
        "/images/edits",
        parts=(
            TextPart("prompt", 'say "Grüße"\r\n'),
            FilePart("image[]", "image-1.png", "image/png", picture),
            FilePart("image[]", "image-2.jpg", "image/jpeg", b"two"),
            TextPart("n", "1"),
        ),
    )
    send(call, endpoint(upstream.origin), attempt)
    (request,) = upstream.requests
    kind, _, boundary = (request.header("content-type") or "").partition("; boundary=")
    assert kind == "multipart/form-data"
    form = 'Content-Disposition: form-data; name="'
    assert request.body.split(f"--{boundary}".encode()) == [
        b"",
        f'\r\n{form}prompt"\r\n\r\nsay "Grüße"\r\n\r\n'.encode(),
        f'\r\n{form}image[]"; filename="image-1.png"\r\nContent-Type: image/png\r\n\r\n'.encode()
        + picture
        + b"\r\n",
        f'\r\n{form}image[]"; filename="image-2.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'.encode()
        + b"two\r\n",
        f'\r\n{form}n"\r\n\r\n1\r\n'.encode(),
        b"--\r\n",
    ]


def test_a_part_cannot_smuggle_a_header(upstream: FaultUpstream, attempt: Attempt) -> None:
    hostile = 'a"\r\nX-Evil: 1\r\n'
    call = Call("/edits", parts=(FilePart(hostile, hostile, "image/png", b""),))
    send(call, endpoint(upstream.origin), attempt)
    assert b"\r\nX-Evil" not in upstream.requests[0].body


ANSWERS: dict[str, tuple[Behaviour, int, bytes]] = {
    "with a length": (answering(response(b"whole")), 200, b"whole"),
    "empty": (answering(response(b"")), 200, b""),
    "no content": (answering(b"HTTP/1.1 204 No Content\r\n\r\n"), 204, b""),
    "chunked": (
        answering(CHUNKED + b"3;x=y\r\nwho\r\n2\r\nle\r\n0\r\nTrailer: 1\r\n\r\n"),
        200,
        b"whole",
    ),
    "until close": (answering(OK + b"\r\nwhole"), 200, b"whole"),
    "old": (answering(b"HTTP/1.0 200 OK\r\n\r\nwhole"), 200, b"whole"),
    "gzip against our wish": (
        answering(response(gzip.compress(b"whole"), headers=("Content-Encoding: gzip",))),
        200,
        b"whole",
    ),
    "after 100 Continue": (
        answering(b"HTTP/1.1 100 Continue\r\n\r\n" * 2, response(b"whole")),
        200,
        b"whole",
    ),
    "after other interim answers": (
        answering(
            b"HTTP/1.1 102 Processing\r\n\r\n" * 3,
            b"HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n",
            response(b"whole"),
        ),
        200,
        b"whole",
    ),
    "after as many interim answers as are borne": (
        answering(b"HTTP/1.1 100 Continue\r\n\r\n" * MAX_INTERIM, response(b"whole")),
        200,
        b"whole",
    ),
    "in small pieces": (
        answering(*(bytes([byte]) for byte in response(b"whole"))),
        200,
        b"whole",
    ),
    "a vendor's error": (
        answering(response(b'{"error": 1}', "500 Oops")),
        500,
        b'{"error": 1}',
    ),
    "a page of a proxy": (answering(response(b"<html>", "502 Bad Gateway")), 502, b"<html>"),
    "more bytes than said": (answering(response(b"whole", length=3)), 200, b"who"),
}


@pytest.mark.parametrize(("behave", "status", "body"), ANSWERS.values(), ids=ANSWERS.keys())
def test_an_answer_is_read_whole(
    behave: Behaviour, status: int, body: bytes, attempt: Attempt
) -> None:
    with FaultUpstream(behave) as upstream:
        answer = send(CALL, endpoint(upstream.origin), attempt)
    assert (answer.status, answer.body, attempt.sent) == (status, body, True)


def test_a_large_answer_is_read_whole(attempt: Attempt) -> None:
    body = bytes(range(256)) * (40 << 12)
    with FaultUpstream(answering(response(body))) as upstream:
        assert send(CALL, endpoint(upstream.origin), attempt).body == body


def test_header_names_are_in_lower_case_and_repeats_joined(attempt: Attempt) -> None:
    headers = ("X-Request-ID: req_1", "Retry-After: 7", "VIA: a", "Via: b")
    with FaultUpstream(answering(response(headers=headers))) as upstream:
        answer = send(CALL, endpoint(upstream.origin), attempt)
    assert answer.headers == {
        "content-length": "2",
        "x-request-id": "req_1",
        "retry-after": "7",
        "via": "a, b",
    }


def test_an_answer_that_comes_before_the_body_is_sent_is_kept(attempt: Attempt) -> None:
    def refuse_early(_: FaultUpstream, connection: Connection) -> None:
        connection.read_head()
        connection.write(response(b"too large", "413 Too Large"))
        connection.sock.shutdown(socket.SHUT_WR)
        connection.hang()

    call = Call("/edits", parts=(FilePart("image", "a.png", "image/png", bytes(8 << 20)),))
    with FaultUpstream(refuse_early) as upstream:
        answer = send(call, endpoint(upstream.origin), attempt)
    assert (answer.status, answer.body) == (413, b"too large")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer(status: int, attempt: Attempt, upstream: FaultUpstream) -> None:
    headers = (f"Location: {upstream.origin}/elsewhere",)
    with FaultUpstream(answering(response(b"", f"{status} There", headers))) as redirecting:
        assert send(CALL, endpoint(redirecting.origin), attempt).status == status
    assert upstream.connections == 0


def test_every_call_has_a_connection_of_its_own_and_no_cookies(watchdog: Watchdog) -> None:
    headers = ("Connection: keep-alive", "Set-Cookie: session=1; Path=/")
    behave = answering(response(headers=headers), then=Connection.hang)
    with FaultUpstream(behave) as upstream:
        for _ in range(3):
            with Attempt(5, watchdog) as attempt:
                assert send(CALL, endpoint(upstream.origin), attempt).status == 200
    assert upstream.connections == len(upstream.requests) == 3
    assert all(request.header("cookie") is None for request in upstream.requests)


def test_the_environment_changes_nothing(
    upstream: FaultUpstream, attempt: Attempt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    netrc.chmod(0o600)
    with FaultUpstream(answering(response(b"proxied"))) as proxy:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.origin)
            monkeypatch.setenv(name.upper(), proxy.origin)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.setenv("NETRC", str(netrc))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
        assert send(CALL, endpoint(upstream.origin), attempt).body == b"{}"
        assert proxy.connections == 0
    assert upstream.requests[0].header("authorization") == f"Bearer {KEY}"


def test_tls_proves_the_name_and_asks_for_it(attempt: Attempt, tmp_path: Path) -> None:
    server, client = certificate(tmp_path, "api.vendor.example")
    with FaultUpstream(answering(response(b"secret")), tls=server) as upstream:

        def loopback(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
            assert host == "api.vendor.example"
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

        where = endpoint(f"https://api.vendor.example:{upstream.port}")
        answer = send(CALL, where, attempt, resolve=loopback, tls=client)
    assert answer.body == b"secret"
    assert upstream.names == ["api.vendor.example"]
    assert upstream.requests[0].header("host") == f"api.vendor.example:{upstream.port}"


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_the_hook_runs_on_a_ready_connection_before_the_first_byte(
    secure: bool, attempt: Attempt, tmp_path: Path
) -> None:
    server, client = certificate(tmp_path, "127.0.0.1")
    ready: list[float] = []
    first: list[float] = []

    def behave(upstream: FaultUpstream, connection: Connection) -> None:
        ready.append(time.monotonic())
        connection.sock.recv(1, 0 if secure else socket.MSG_PEEK)
        first.append(time.monotonic())
        connection.write(response(b""))

    hooked: list[float] = []

    def hook() -> None:
        assert attempt.sent is False
        patience = time.monotonic() + 2
        while not ready and time.monotonic() < patience:
            time.sleep(0.001)
        time.sleep(0.05)
        hooked.append(time.monotonic())

    attempt.on_send = hook
    with FaultUpstream(behave, tls=server if secure else None) as upstream:
        send(CALL, endpoint(upstream.origin), attempt, tls=client)
    assert len(hooked) == 1
    assert ready[0] < hooked[0] < first[0]


@pytest.mark.parametrize("error", [ConnectionResetError, BrokenPipeError, TimeoutError, ValueError])
def test_a_hook_that_fails_sends_nothing(error: type[Exception], attempt: Attempt) -> None:
    taken: list[bytes] = []

    def listen(_: FaultUpstream, connection: Connection) -> None:
        taken.append(connection.sock.recv(100))

    raised = error("the ledger is away")

    def hook() -> None:
        raise raised

    attempt.on_send = hook
    with FaultUpstream(listen) as upstream:
        with pytest.raises(error) as caught:
            send(CALL, endpoint(upstream.origin), attempt)
        assert caught.value is raised
        patience = time.monotonic() + 2
        while not taken and time.monotonic() < patience:
            time.sleep(0.001)
    assert taken == [b""]
    assert attempt.sent is False


def test_a_cancel_in_the_hook_sends_nothing(upstream: FaultUpstream, attempt: Attempt) -> None:
    attempt.on_send = attempt.cancel
    with pytest.raises(Cancelled) as caught:
        send(CALL, endpoint(upstream.origin), attempt)
    assert caught.value.sent is False
    assert upstream.requests == []


GOOD_BASES = [
    ("https://api.openai.com/v1", "https://api.openai.com/v1"),
    ("https://api.openai.com/v1//", "https://api.openai.com/v1"),
    ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
    ("http://[::1]:9000/openai/v1/", "http://[::1]:9000/openai/v1"),
]
BAD_BASES = [
    "",
    "api.openai.com/v1",
    "ftp://api.openai.com/v1",
    "https://",
    "https://user:secret@api.openai.com/v1",
    "https://api.openai.com/v1?key=secret",
    "https://api.openai.com/v1#secret",
    "https://api.openai.com?key=secret",
    "https://api.openai.com:99999/v1",
    "https://api.openai.com/v1\r\nX: secret",
    "https://api openai.com/v1",
]


@pytest.mark.parametrize(("given", "kept"), GOOD_BASES)
def test_a_base_url_loses_its_last_slash(given: str, kept: str) -> None:
    assert Endpoint("openai", given, KEY).base_url == kept


@pytest.mark.parametrize("given", BAD_BASES)
def test_a_bad_base_url_is_refused_without_being_shown(given: str) -> None:
    with pytest.raises(ValueError, match="the base URL of openai") as caught:
        Endpoint("openai", given, KEY)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("key", ["", " ", "sk-a b", "sk-canary\n", "sk-canary\r\nX: 1", "sk-é"])
def test_a_key_that_no_header_may_hold_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(ValueError, match="the key of openai") as caught:
        Endpoint("openai", "https://api.openai.com/v1", key)
    assert "canary" not in str(caught.value)


def test_an_endpoint_never_shows_its_key() -> None:
    where = endpoint("https://vendor.example")
    assert KEY not in f"{where!r} {where} {[where]!r}"
