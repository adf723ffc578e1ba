"""The wall clock around a call, and its cancel switch, wherever the call may be stuck."""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from queue import SimpleQueue

import pytest

from server.providers.base import Call, FilePart
from server.upstream.addresses import Address
from server.upstream.attempt import Attempt
from server.upstream.session import Cancelled, TimedOut, Unsent, send
from server.upstream.watchdog import Watchdog
from server.upstream.wire import opened
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
    nobody_answers,
    response,
    silent,
)

ANSWER = b"half an answer"
BOX = 0.5
SLACK = 1.0  # seconds, on a busy machine


@pytest.fixture(scope="module")
def watchdog() -> Iterator[Watchdog]:
    watchdog = Watchdog()
    yield watchdog
    watchdog.close()


@contextmanager
def boxed(watchdog: Watchdog) -> Iterator[Attempt]:
    """Give an attempt of `BOX` seconds, and require that the block ends with it."""
    started = time.monotonic()
    with Attempt(BOX, watchdog) as attempt:
        yield attempt
    assert BOX <= time.monotonic() - started < BOX + SLACK


SLOW: dict[str, Behaviour] = {
    "silent": silent,
    "deaf": deaf,
    "status line drips": dripping(b"", OK),
    "headers drip": dripping(OK, b"X-Slow: " + b"y" * 100),
    "headers, then silence": answering(OK, then=Connection.hang),
    "body drips": dripping(OK + b"Content-Length: 100\r\n\r\n", b"y" * 100),
    "body stops": answering(response(ANSWER, length=100), then=Connection.hang),
    "body until close drips": dripping(OK + b"\r\n", ANSWER * 10),
    "body until close stops": answering(OK + b"\r\n" + ANSWER, then=Connection.hang),
    "chunks drip": dripping(CHUNKED, b"1\r\ny\r\n" * 20),
    "chunk sizes drip": dripping(CHUNKED, b"0" * 100),
    "trailers without end": answering(CHUNKED + b"0\r\n", then=forever(b"X: y\r\n")),
    "gzip drips": dripping(
        OK + b"Content-Encoding: gzip\r\n\r\n", gzip.compress(bytes(range(256)) * 9)
    ),
}


@pytest.mark.parametrize("behave", SLOW.values(), ids=SLOW.keys())
def test_a_slow_upstream_ends_with_the_box(behave: Behaviour, watchdog: Watchdog) -> None:
    with FaultUpstream(behave) as upstream, boxed(watchdog) as attempt:
        with pytest.raises(TimedOut) as caught:
            send(CALL, endpoint(upstream.origin), attempt)
        assert (caught.value.sent, attempt.sent) == (True, True)
        assert attempt.expired


@contextmanager
def plain_origin_asked_for_tls() -> Iterator[str]:
    with FaultUpstream(silent) as upstream:
        yield f"https://127.0.0.1:{upstream.port}"


STUCK_BEFORE_SENDING = pytest.mark.parametrize(
    "stuck", [nobody_answers, plain_origin_asked_for_tls]
)
Stuck = Callable[[], AbstractContextManager[str]]


@STUCK_BEFORE_SENDING
def test_time_that_runs_out_before_sending_costs_nothing(stuck: Stuck, watchdog: Watchdog) -> None:
    with stuck() as origin, boxed(watchdog) as attempt:
        with pytest.raises(TimedOut) as caught:
            send(CALL, endpoint(origin), attempt)
        assert (caught.value.sent, attempt.sent) == (False, False)


def test_an_address_that_swallows_packets_leaves_time_for_the_next(watchdog: Watchdog) -> None:
    with (
        nobody_answers() as stuck,
        FaultUpstream(silent) as upstream,
        Attempt(10, watchdog) as attempt,
    ):
        ports = (int(stuck.rpartition(":")[2]), upstream.port)
        addresses = [Address(socket.AF_INET, ("127.0.0.1", port)) for port in ports]
        with opened("127.0.0.1", addresses, attempt, tls=None, patience=0.2) as wire:
            assert wire.getpeername()[1] == upstream.port


def test_a_handshake_that_takes_too_long_costs_nothing(watchdog: Watchdog) -> None:
    with FaultUpstream(silent) as upstream, Attempt(10, watchdog) as attempt:
        addresses = [Address(socket.AF_INET, ("127.0.0.1", upstream.port))]
        tls = ssl.create_default_context()
        with (
            pytest.raises(Unsent, match="TLS failed"),
            opened("127.0.0.1", addresses, attempt, tls=tls, patience=0.2),
        ):
            pytest.fail("the connection is not ready")
        assert not attempt.expired


def test_a_name_service_that_hangs_is_inside_the_box(watchdog: Watchdog) -> None:
    released = threading.Event()

    def hang(*_: object, **__: object) -> list[tuple[()]]:
        released.wait()
        return []

    with boxed(watchdog) as attempt:
        with pytest.raises(TimedOut) as caught:
            send(CALL, endpoint("https://vendor.example"), attempt, resolve=hang)
        assert caught.value.sent is False
    released.set()


def cancelled_while_blocked(
    origin: str,
    watchdog: Watchdog,
    call: Call = CALL,
    *,
    tls: ssl.SSLContext | None = None,
    sending: bool = True,
) -> Cancelled:
    """Cancel from another thread 0.15 s after sending (or all) began; the end takes 0.1 s."""
    cancelled_at: SimpleQueue[float] = SimpleQueue()

    def cancel_soon() -> None:
        watchdog.at(time.monotonic() + 0.15, cancel)

    def cancel() -> None:
        cancelled_at.put(time.monotonic())
        attempt.cancel()

    with Attempt(60, watchdog) as attempt:
        if sending:
            attempt.on_send = cancel_soon
        else:
            cancel_soon()
        with pytest.raises(Cancelled) as caught:
            send(call, endpoint(origin), attempt, tls=tls)
        ended = time.monotonic()
        assert ended - cancelled_at.get() < 0.1
        assert attempt.cancelled
        assert attempt.sent is caught.value.sent
    return caught.value


@pytest.mark.parametrize("behave", SLOW.values(), ids=SLOW.keys())
def test_cancelling_ends_a_blocked_call_at_once(behave: Behaviour, watchdog: Watchdog) -> None:
    with FaultUpstream(behave) as upstream:
        assert cancelled_while_blocked(upstream.origin, watchdog).sent is True


@STUCK_BEFORE_SENDING
def test_cancelling_ends_connecting_and_handshake_at_once(stuck: Stuck, watchdog: Watchdog) -> None:
    with stuck() as origin:
        assert cancelled_while_blocked(origin, watchdog, sending=False).sent is False


BIG = Call("/images/edits", parts=(FilePart("image", "a.png", "image/png", bytes(32 << 20)),))


def test_cancelling_ends_an_upload_that_is_not_taken(watchdog: Watchdog) -> None:
    with FaultUpstream(silent) as upstream:
        assert cancelled_while_blocked(upstream.origin, watchdog, BIG).sent is True


@pytest.mark.parametrize("call", [CALL, BIG], ids=["small", "large"])
@pytest.mark.parametrize("name", ["silent", "headers drip", "body drips"])
def test_everything_ends_inside_tls_too(
    name: str, call: Call, watchdog: Watchdog, tmp_path: Path
) -> None:
    server, client = certificate(tmp_path, "127.0.0.1")
    with FaultUpstream(SLOW[name], tls=server) as upstream:
        assert cancelled_while_blocked(upstream.origin, watchdog, call, tls=client).sent is True
        with boxed(watchdog) as attempt, pytest.raises(TimedOut):
            send(CALL, endpoint(upstream.origin), attempt, tls=client)


def test_an_attempt_cancelled_beforehand_connects_to_nothing(watchdog: Watchdog) -> None:
    with FaultUpstream(answering(response())) as upstream, Attempt(5, watchdog) as attempt:
        attempt.cancel()
        with pytest.raises(Cancelled) as caught:
            send(CALL, endpoint(upstream.origin), attempt)
        assert caught.value.sent is False
    assert upstream.connections == 0
