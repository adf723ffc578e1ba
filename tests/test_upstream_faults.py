"""Every way an upstream can fail, against real sockets: how it ends, when, and what it may cost."""

from __future__ import annotations

import gzip
import logging
import socket
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.providers.base import Answer, Call
from server.upstream.addresses import addresses_of
from server.upstream.attempt import Attempt
from server.upstream.session import (
    TimedOut,
    TooLarge,
    Unanswered,
    Unsent,
    send,
)
from server.upstream.watchdog import Watchdog
from tests import whole
from tests.fault_upstream import (
    BODY,
    CALL,
    CHUNKED,
    KEY,
    OK,
    Behaviour,
    Connection,
    FaultUpstream,
    answering,
    certificate,
    deaf,
    endpoint,
    forever,
    response,
)

ANSWER = b"an-answer-canary"
QUERY = "a-query-canary"


@pytest.fixture(scope="module")
def watchdog() -> Iterator[Watchdog]:
    watchdog = Watchdog()
    yield watchdog
    watchdog.close()


BROKEN: dict[str, Behaviour] = {
    "closed without a word": answering(),
    "reset without a word": answering(then=Connection.reset),
    "closed in the status line": answering(b"HTTP/1."),
    "closed in the headers": answering(OK + b"Content-Le"),
    "reset after the headers": answering(OK + b"Content-Length: 9\r\n\r\n", then=Connection.reset),
    "cut in the body": answering(response(ANSWER, length=1000)),
    "reset in the body": answering(response(ANSWER, length=1000), then=Connection.reset),
    "cut between chunks": answering(CHUNKED + b"3\r\nabc\r\n"),
    "cut in a chunk": answering(CHUNKED + b"ff\r\nabc"),
    "no chunk size": answering(CHUNKED + ANSWER + b"\r\nabc\r\n0\r\n\r\n"),
    "not HTTP": answering(ANSWER + b"\r\n\r\n"),
    "HTTP/2": answering(b"HTTP/2 200\r\n\r\n"),
    "a status of four digits": answering(b"HTTP/1.1 2000 OK\r\n\r\n"),
    "an interim status as the last": answering(b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "100 Continue without end": answering(then=forever(b"HTTP/1.1 100 Continue\r\n\r\n")),
    "102 Processing without end": answering(then=forever(b"HTTP/1.1 102 Processing\r\n\r\n")),
    "switched protocols": answering(b"HTTP/1.1 101 Switching Protocols\r\n\r\n"),
    "two lengths": answering(OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} "),
    "a header of 70 KB": answering(OK + b"X: " + b"y" * 70_000 + b"\r\n\r\n"),
    "200 headers": answering(OK + b"X: y\r\n" * 200 + b"\r\n"),
    "gzip that is none": answering(response(ANSWER, headers=("Content-Encoding: gzip",))),
    "ten encodings": answering(
        response(ANSWER, headers=("Content-Encoding: " + ",".join(["gzip"] * 10),))
    ),
}


@pytest.mark.parametrize("behave", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_answer_is_an_unknown_outcome(behave: Behaviour, watchdog: Watchdog) -> None:
    with FaultUpstream(behave) as upstream, Attempt(5, watchdog) as attempt:
        with pytest.raises(Unanswered):
            send(CALL, endpoint(upstream.origin), attempt)
        assert attempt.sent is True
        assert upstream.connections == len(upstream.requests) == 1


def huge(head: bytes, piece: bytes) -> Behaviour:
    return answering(head, then=forever(piece))


def bomb() -> bytes:
    body = gzip.compress(bytes(97 << 20), compresslevel=1)
    assert len(body) < 1 << 20
    return response(body, headers=("Content-Encoding: gzip",))


TOO_LARGE: dict[str, Callable[[], Behaviour]] = {
    "length": lambda: huge(OK + b"Content-Length: 200000000\r\n\r\n", bytes(1 << 20)),
    "until close": lambda: huge(OK + b"\r\n", bytes(1 << 20)),
    "chunks": lambda: huge(CHUNKED, b"100000\r\n" + bytes(1 << 20) + b"\r\n"),
    "gzip bomb": lambda: answering(bomb()),
}


@pytest.mark.parametrize("make", TOO_LARGE.values(), ids=TOO_LARGE.keys())
def test_an_answer_over_the_limit_is_an_unknown_outcome(
    make: Callable[[], Behaviour], watchdog: Watchdog
) -> None:
    with FaultUpstream(make()) as upstream, Attempt(20, watchdog) as attempt:
        with pytest.raises(TooLarge) as caught:
            send(CALL, endpoint(upstream.origin), attempt)
        assert isinstance(caught.value, Unanswered)
        assert attempt.sent is True


@pytest.fixture(scope="module")
def unknown_authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("authority")


def refused() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_an_upstream_that_cannot_be_reached_costs_nothing(watchdog: Watchdog) -> None:
    with Attempt(5, watchdog) as attempt:
        with pytest.raises(Unsent, match="Connection refused"):
            send(CALL, endpoint(refused()), attempt)
        assert attempt.sent is False


def test_a_name_without_address_costs_nothing(watchdog: Watchdog) -> None:
    def unknown(*_: object, **__: object) -> list[tuple[()]]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with Attempt(5, watchdog) as attempt:
        with pytest.raises(Unsent, match="not known"):
            send(CALL, endpoint("https://vendor.example"), attempt, resolve=unknown)
        with pytest.raises(Unsent, match="no address"):
            send(CALL, endpoint("https://vendor.example"), attempt, resolve=lambda *_, **__: [])
        assert attempt.sent is False


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", (socket.AF_INET, ("127.0.0.1", 80))),
        ("::1", (socket.AF_INET6, ("::1", 80, 0, 0))),
    ],
)
def test_an_address_is_not_looked_up(host: str, expected: object, watchdog: Watchdog) -> None:
    def lookup(*_: object, **__: object) -> list[tuple[()]]:
        raise AssertionError

    with Attempt(5, watchdog) as attempt:
        assert addresses_of(host, 80, attempt, lookup) == [expected]


def test_a_second_address_is_tried_when_the_first_refuses(watchdog: Watchdog) -> None:
    with FaultUpstream(answering(response())) as upstream, Attempt(5, watchdog) as attempt:
        dead = int(refused().rpartition(":")[2])

        def two(*_: object, **__: object) -> list[tuple[object, ...]]:
            row = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
            return [(*row, ("127.0.0.1", port)) for port in (dead, upstream.port)]

        answer = send(CALL, endpoint("http://vendor.example"), attempt, resolve=two)
        assert answer.status == 200
        assert upstream.requests[0].header("host") == "vendor.example"


TLS_FAULTS: dict[str, Behaviour] = {
    "plain HTTP": lambda _, connection: connection.write(response()),
    "closed": lambda _, connection: connection.sock.recv(10) and None,
    "reset": lambda _, connection: connection.reset(),
    "alert": lambda _, connection: connection.write(b"\x15\x03\x03\x00\x02\x02\x28"),
}


@pytest.mark.parametrize("behave", TLS_FAULTS.values(), ids=TLS_FAULTS.keys())
def test_a_failed_handshake_costs_nothing(behave: Behaviour, watchdog: Watchdog) -> None:
    with FaultUpstream(behave) as upstream, Attempt(5, watchdog) as attempt:
        with pytest.raises(Unsent, match="TLS failed|Connection reset"):
            send(CALL, endpoint(f"https://127.0.0.1:{upstream.port}"), attempt)
        assert attempt.sent is False


def test_a_certificate_that_proves_nothing_costs_nothing(
    watchdog: Watchdog, unknown_authority: Path
) -> None:
    server, client = certificate(unknown_authority, "other.example")
    with FaultUpstream(answering(response()), tls=server) as upstream:
        for tls, why in ((None, "self-signed"), (client, "not valid for")):
            with Attempt(5, watchdog) as attempt:
                with pytest.raises(Unsent, match=why):
                    send(CALL, endpoint(upstream.origin), attempt, tls=tls)
                assert attempt.sent is False
        assert upstream.requests == []


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_hundred_failed_attempts_leave_no_open_file(
    watchdog: Watchdog, unknown_authority: Path
) -> None:
    server, _ = certificate(unknown_authority, "127.0.0.1")
    dead = refused()
    with ExitStack() as stack:
        origins = [
            *(stack.enter_context(FaultUpstream(behave)).origin for behave in BROKEN.values()),
            stack.enter_context(FaultUpstream(answering(), tls=server)).origin,
            stack.enter_context(FaultUpstream(lambda _, mute: mute.hang())).origin.replace(
                "http", "https"
            ),
            stack.enter_context(FaultUpstream(deaf)).origin,
            dead,
        ]
        before = open_files()
        for number in range(100):
            with (
                Attempt(0.05, watchdog) as attempt,
                pytest.raises((Unsent, Unanswered, TimedOut)),
            ):
                send(CALL, endpoint(origins[number % len(origins)]), attempt)
        patience = time.monotonic() + 2
        while open_files() > before and time.monotonic() < patience:
            time.sleep(0.01)  # the other ends close in their own threads
        assert open_files() <= before


def texts(error: BaseException | None) -> Iterator[str]:
    while error is not None:
        yield from (str(error), repr(error), *traceback.format_exception(error))
        error = error.__cause__


@pytest.mark.parametrize(
    "behave",
    [*BROKEN.values(), answering(response(ANSWER, "401 Unauthorized"))],
    ids=[*BROKEN.keys(), "answered"],
)
def test_no_text_holds_the_key_or_a_body(
    behave: Behaviour, watchdog: Watchdog, caplog: pytest.LogCaptureFixture
) -> None:
    written: list[str] = []
    with (
        caplog.at_level(logging.DEBUG),
        FaultUpstream(behave) as upstream,
        Attempt(5, watchdog) as attempt,
    ):
        where = endpoint(upstream.origin)
        try:
            send(Call(f"/edits?signature={QUERY}", json={"p": BODY}), where, attempt)
        except Unanswered as error:
            written += texts(error)
        written += [repr(where), str(where), caplog.text]
    assert "vendor" in repr(where)
    for canary in (KEY, BODY, ANSWER.decode(), QUERY):
        assert not [text for text in written if canary in text]


raw_answers = st.one_of(
    st.binary(max_size=200),
    st.builds(
        lambda status, headers, body: (
            b"HTTP/1.1 " + status + b"\r\n" + b"\r\n".join(headers) + b"\r\n\r\n" + body
        ),
        st.sampled_from([b"200 OK", b"204 No", b"304 Same", b"500 ", b"99 x", b"200"]),
        st.lists(
            st.one_of(
                st.binary(max_size=30),
                st.sampled_from(
                    [
                        b"Transfer-Encoding: chunked",
                        b"Transfer-Encoding: gzip, chunked",
                        b"Content-Encoding: gzip",
                        b"Content-Encoding: deflate",
                        b"Content-Encoding: gzip, x",
                        b"Content-Length: 5",
                        b"Content-Length: -5",
                        b"Content-Length: 5, 5",
                        b"Content-Length: " + b"9" * 5000,
                        b"Content-Type: text/html; charset=\xff; charset*=utf-8''%ff",
                        b"Set-Cookie: a=b; expires=Thu, 99 Foo 2026; domain=[::1",
                        b"Connection: keep-alive",
                        b"Location: http://[::1",
                    ]
                ),
            ),
            max_size=5,
        ),
        st.one_of(
            st.binary(max_size=60),
            st.just(b"5\r\nhello\r\n0\r\n\r\n"),
            st.binary(max_size=40).map(gzip.compress),
            st.binary(max_size=40).map(lambda data: gzip.compress(data)[:-6]),
        ),
    ),
)


def test_any_bytes_are_an_answer_or_an_unknown_outcome(watchdog: Watchdog) -> None:
    planned: SimpleQueue[bytes] = SimpleQueue()

    def behave(upstream: FaultUpstream, connection: Connection) -> None:
        upstream.read(connection)
        connection.write(planned.get())

    with FaultUpstream(behave) as upstream:

        @settings(max_examples=whole.of(200, 60), deadline=None)
        @given(raw_answers)
        def check(raw: bytes) -> None:
            planned.put(raw)
            with Attempt(5, watchdog) as attempt:
                try:
                    answer = send(CALL, endpoint(upstream.origin), attempt)
                except Unanswered:
                    return
                assert isinstance(answer, Answer)
                assert 200 <= answer.status < 1000

        check()
