"""Fetching a result: from where, how often, how much, and how long."""

from __future__ import annotations

import gzip
import logging
import socket
import ssl
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.upstream.attempt import Attempt
from server.upstream.download import (
    BadOrigin,
    Cancelled,
    DownloadFailed,
    TimedOut,
    download,
)
from server.upstream.session import send
from server.upstream.watchdog import Watchdog
from tests.fault_upstream import (
    CALL,
    CHUNKED,
    OK,
    Behaviour,
    Connection,
    FaultUpstream,
    answering,
    certificate,
    deaf,
    dripping,
    endpoint,
    forever,
    in_turn,
    response,
    silent,
)

PICTURE = b"\x89PNG" + bytes(range(256)) * 1000
SIGNED = "/out/a.png?X-Signature=signature-canary"
NAME = "results.vendor.example"
BOX = 0.5
SLACK = 1.0  # seconds, on a busy machine


@pytest.fixture(scope="module")
def watchdog() -> Iterator[Watchdog]:
    watchdog = Watchdog()
    yield watchdog
    watchdog.close()


@pytest.fixture
def attempt(watchdog: Watchdog) -> Iterator[Attempt]:
    with Attempt(5, watchdog) as attempt:
        yield attempt


def fetch(upstream: FaultUpstream, attempt: Attempt, max_bytes: int = 1 << 20) -> bytes:
    """Fetch from the loopback origin, trusted by setting."""
    return download(
        upstream.origin + SIGNED,
        attempt,
        allowed_hosts=(),
        extra_origins=(upstream.origin,),
        max_bytes=max_bytes,
        pause=0,
    )


def test_a_picture_is_fetched_without_key_or_cookie(attempt: Attempt) -> None:
    with FaultUpstream(answering(response(PICTURE))) as upstream:
        assert fetch(upstream, attempt) == PICTURE
    (request,) = upstream.requests
    assert request.line == f"GET {SIGNED} HTTP/1.1"
    names = {name for name, _ in request.headers}
    assert names == {"host", "accept", "accept-encoding", "user-agent"}
    assert request.body == b""


def test_fetching_neither_counts_as_sending_nor_calls_the_hook(attempt: Attempt) -> None:
    hooked: list[str] = []
    attempt.on_send = lambda: hooked.append("hook")
    with FaultUpstream(answering(response(PICTURE))) as upstream:
        fetch(upstream, attempt)
    assert (attempt.sent, hooked) == (False, [])


NOT_FOUND = answering(response(b"", "404 Not Found"))
HEALING: dict[str, Behaviour] = {
    "404": NOT_FOUND,
    "403": answering(response(b"", "403 Forbidden")),
    "429": answering(response(b"", "429 Too Many Requests")),
    "500": answering(response(b"", "500 Oops")),
    "503": answering(response(b"", "503 Busy")),
    "closed": answering(),
    "reset": answering(then=Connection.reset),
    "cut": answering(response(PICTURE, length=len(PICTURE) + 1)),
    "cut in the headers": answering(b"HTTP/1.1 200 OK\r\nContent-Le"),
    "not HTTP": answering(b"hello\r\n\r\n"),
}


@pytest.mark.parametrize("fault", HEALING.values(), ids=HEALING.keys())
def test_what_may_heal_is_tried_three_times(fault: Behaviour, attempt: Attempt) -> None:
    with FaultUpstream(in_turn(fault, fault, answering(response(PICTURE)))) as upstream:
        assert fetch(upstream, attempt) == PICTURE
        assert upstream.connections == 3
    with FaultUpstream(fault) as upstream:
        with pytest.raises(DownloadFailed) as caught:
            fetch(upstream, attempt)
        assert caught.value.may_heal
        assert upstream.connections == 3


FINAL: dict[str, Behaviour] = {
    "204": answering(b"HTTP/1.1 204 No Content\r\n\r\n"),
    "206": answering(response(PICTURE, "206 Partial Content")),
    "304": answering(b"HTTP/1.1 304 Not Modified\r\n\r\n"),
    "400": answering(response(b"", "400 Bad Request")),
    "401": answering(response(b"", "401 Unauthorized")),
    "410": answering(response(b"", "410 Gone")),
    "too long by its length": answering(response(PICTURE)),
    "too long in chunks": answering(CHUNKED, then=forever(b"1000\r\n" + bytes(4096) + b"\r\n")),
    "too long until close": answering(OK + b"\r\n", then=forever(bytes(4096))),
    "too long when decoded": answering(
        response(gzip.compress(bytes(50 << 20), 1), headers=("Content-Encoding: gzip",))
    ),
    "too long and mislabelled": answering(
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        then=forever(b"1000\r\n" + bytes(4096) + b"\r\n"),
    ),
}


@pytest.mark.parametrize("fault", FINAL.values(), ids=FINAL.keys())
def test_what_cannot_heal_is_tried_once(fault: Behaviour, attempt: Attempt) -> None:
    with FaultUpstream(fault) as upstream:
        with pytest.raises(DownloadFailed) as caught:
            fetch(upstream, attempt, max_bytes=100_000)
        assert not caught.value.may_heal
        assert upstream.connections == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(status: int, attempt: Attempt) -> None:
    with FaultUpstream(answering(response(PICTURE))) as target:
        for location in (f"{target.origin}/a.png", "/a.png", f"//127.0.0.1:{target.port}/"):
            behave = answering(response(b"", f"{status} There", (f"Location: {location}",)))
            with FaultUpstream(behave) as upstream:
                with pytest.raises(DownloadFailed, match=f"status {status}"):
                    fetch(upstream, attempt)
                assert upstream.connections == 1
        assert target.connections == 0


def test_the_limit_is_exact(attempt: Attempt) -> None:
    with FaultUpstream(answering(response(PICTURE))) as upstream:
        assert fetch(upstream, attempt, max_bytes=len(PICTURE)) == PICTURE
        with pytest.raises(DownloadFailed, match=f"over {len(PICTURE) - 1} bytes"):
            fetch(upstream, attempt, max_bytes=len(PICTURE) - 1)


def test_an_origin_that_refuses_is_tried_again(attempt: Attempt) -> None:
    addresses: list[object] = []

    def refuse(_: socket.socket, address: object) -> None:
        addresses.append(address)
        raise ConnectionRefusedError

    with pytest.raises(DownloadFailed, match="ConnectionRefusedError"):
        download(
            "http://127.0.0.1:9000/a.png",
            attempt,
            allowed_hosts=(),
            extra_origins=("http://127.0.0.1:9000",),
            connect=refuse,
            pause=0,
        )
    assert addresses == [("127.0.0.1", 9000)] * 3


SLOW = {
    "silent": silent,
    "deaf": deaf,
    "headers drip": dripping(OK, b"X: " + b"y" * 100),
    "body drips": dripping(OK + b"Content-Length: 100\r\n\r\n", b"y" * 100),
    "body until close drips": dripping(OK + b"\r\n", b"y" * 100),
    "fails again and again": NOT_FOUND,
}


@pytest.mark.parametrize("behave", SLOW.values(), ids=SLOW.keys())
def test_edit_and_download_share_one_time_box(behave: Behaviour, watchdog: Watchdog) -> None:
    def late(upstream: FaultUpstream, connection: Connection) -> None:
        upstream.read(connection)
        connection.stopped.wait(BOX / 2)
        connection.write(response())

    with FaultUpstream(late) as vendor, FaultUpstream(behave) as storage:
        started = time.monotonic()
        attempt = Attempt(2 * BOX, watchdog)  # the first half is for the edit
        send(CALL, endpoint(vendor.origin), attempt)
        with pytest.raises(TimedOut) as caught:
            download(
                storage.origin + SIGNED,
                attempt,
                allowed_hosts=(),
                extra_origins=(storage.origin,),
                pause=60,
            )
        assert 2 * BOX <= time.monotonic() - started < 2 * BOX + SLACK
        assert caught.value.sent is True


@pytest.mark.parametrize("behave", SLOW.values(), ids=SLOW.keys())
def test_cancelling_ends_a_blocked_download_at_once(behave: Behaviour, watchdog: Watchdog) -> None:
    with FaultUpstream(behave) as upstream, Attempt(60, watchdog) as attempt:
        due = time.monotonic() + 0.15
        watchdog.at(due, attempt.cancel)
        with pytest.raises(Cancelled):
            download(
                upstream.origin + SIGNED,
                attempt,
                allowed_hosts=(),
                extra_origins=(upstream.origin,),
                pause=60,
            )
        assert time.monotonic() - due < 0.1


def test_a_cancel_between_edit_and_download_connects_to_nothing(attempt: Attempt) -> None:
    with FaultUpstream(answering(response(PICTURE))) as upstream:
        send(CALL, endpoint(upstream.origin), attempt)
        attempt.cancel()
        with pytest.raises(Cancelled) as caught:
            fetch(upstream, attempt)
        assert caught.value.sent is True
        assert upstream.connections == 1


class Internet:
    """A name service, and a network on which every public address is the one upstream."""

    def __init__(self, port: int, *answers: tuple[str, ...]) -> None:
        self.lookups: list[tuple[object, ...]] = []
        self.connections: list[object] = []
        self._port = port
        self._answers = list(answers)

    def resolve(self, host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        self.lookups.append((host, port))
        addresses = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        row = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        return [(*row, (address, port)) for address in addresses]

    def connect(self, wire: socket.socket, address: object) -> None:
        self.connections.append(address)
        wire.connect(("127.0.0.1", self._port))


def fetch_by_name(
    internet: Internet, attempt: Attempt, tls: ssl.SSLContext, host: str = NAME
) -> bytes:
    return download(
        f"https://{host}{SIGNED}",
        attempt,
        allowed_hosts=(NAME,),
        extra_origins=(),
        resolve=internet.resolve,
        connect=internet.connect,
        tls=tls,
        pause=0,
    )


Pair = tuple[ssl.SSLContext, ssl.SSLContext]


@pytest.fixture
def proof(tmp_path: Path) -> Pair:
    return certificate(tmp_path, NAME)


def test_the_checked_address_is_asked_for_the_name(proof: Pair, attempt: Attempt) -> None:
    server, client = proof
    with FaultUpstream(answering(response(PICTURE)), tls=server) as upstream:
        internet = Internet(upstream.port, ("8.8.8.8", "1.1.1.1"))
        assert fetch_by_name(internet, attempt, client, host="RESULTS.vendor.example.") == PICTURE
    assert internet.lookups == [(NAME, 443)]
    assert internet.connections == [("8.8.8.8", 443)]
    assert upstream.names == [NAME]
    assert upstream.requests[0].header("host") == NAME


def test_a_name_that_changes_its_address_gains_nothing(proof: Pair, attempt: Attempt) -> None:
    server, client = proof
    with FaultUpstream(NOT_FOUND, tls=server) as upstream:
        internet = Internet(upstream.port, ("8.8.8.8",), ("127.0.0.1",))
        with pytest.raises(BadOrigin, match="not public"):
            fetch_by_name(internet, attempt, client)
    assert internet.connections == [("8.8.8.8", 443)]
    assert len(internet.lookups) == 2


def test_a_host_that_cannot_prove_its_name_gets_no_request(
    tmp_path: Path, attempt: Attempt
) -> None:
    server, client = certificate(tmp_path, "other.example")
    with FaultUpstream(answering(response(PICTURE)), tls=server) as upstream:
        internet = Internet(upstream.port, ("8.8.8.8",))
        with pytest.raises(DownloadFailed, match="TLS failed"):
            fetch_by_name(internet, attempt, client)
        assert upstream.requests == []


def test_an_unknown_name_is_looked_up_three_times(attempt: Attempt) -> None:
    lookups: list[str] = []

    def unknown(host: str, *_: object, **__: object) -> list[tuple[object, ...]]:
        lookups.append(host)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    with pytest.raises(DownloadFailed, match="Temporary failure"):
        download(
            f"https://{NAME}/",
            attempt,
            allowed_hosts=(NAME,),
            extra_origins=(),
            resolve=unknown,
            pause=0,
        )
    assert lookups == [NAME] * 3


def test_a_hanging_name_service_is_inside_the_time_box(watchdog: Watchdog) -> None:
    released = threading.Event()

    def hang(*_: object, **__: object) -> list[tuple[object, ...]]:
        released.wait()
        return []

    with Attempt(BOX, watchdog) as attempt:
        started = time.monotonic()
        with pytest.raises(TimedOut):
            download(
                f"https://{NAME}/", attempt, allowed_hosts=(NAME,), extra_origins=(), resolve=hang
            )
        assert time.monotonic() - started < BOX + SLACK
    released.set()


def test_proxies_of_the_environment_are_not_used(
    attempt: Attempt, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        FaultUpstream(answering(response(b"proxied"))) as proxy,
        FaultUpstream(answering(response(PICTURE))) as upstream,
    ):
        monkeypatch.setenv("http_proxy", proxy.origin)
        monkeypatch.setenv("all_proxy", proxy.origin)
        monkeypatch.delenv("no_proxy", raising=False)
        assert fetch(upstream, attempt) == PICTURE
        assert proxy.connections == 0


@pytest.mark.parametrize("fault", [*HEALING.values(), *FINAL.values()])
def test_no_text_holds_the_signature(
    fault: Behaviour, attempt: Attempt, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), FaultUpstream(fault) as upstream:
        with pytest.raises(DownloadFailed) as caught:
            fetch(upstream, attempt, max_bytes=100_000)
        assert upstream.origin in str(caught.value)
    assert "canary" not in "".join(traceback.format_exception(caught.value)) + caplog.text


def test_a_malformed_header_puts_no_signature_into_the_log(
    attempt: Attempt, caplog: pytest.LogCaptureFixture
) -> None:
    odd = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nno header\r\n\r\nx")
    with caplog.at_level(logging.DEBUG), FaultUpstream(odd) as upstream:
        fetch(upstream, attempt)
    assert "canary" not in caplog.text


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_hundred_failed_downloads_leave_no_open_file(watchdog: Watchdog) -> None:
    faults = [*HEALING.values(), *FINAL.values()] * 20
    with FaultUpstream(in_turn(*faults)) as upstream:
        before = open_files()
        for _ in range(100):
            with Attempt(5, watchdog) as attempt, pytest.raises(DownloadFailed):
                fetch(upstream, attempt, max_bytes=100_000)
        patience = time.monotonic() + 2
        while open_files() > before and time.monotonic() < patience:
            time.sleep(0.01)
        assert open_files() <= before
