"""The thread that waits for all clients: it calls back once, in order, and outlives a bug."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from gateway_http.poller import READ, Poller


@pytest.fixture
def reported() -> list[str]:
    return []


@pytest.fixture
def poller(reported: list[str]) -> Iterator[Poller]:
    """A poller that runs."""
    poller = Poller(lambda error: reported.append(str(error)))
    thread = threading.Thread(target=poller.run)
    thread.start()
    yield poller
    poller.call(poller.end)
    thread.join()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def done(poller: Poller) -> None:
    """Wait until all that was called before is done."""
    event = threading.Event()
    poller.call(event.set)
    assert event.wait(10)


def fail() -> None:
    raise ValueError("a bug")


def test_calls_are_done_in_order_and_a_bug_ends_none(poller: Poller, reported: list[str]) -> None:
    seen: list[int] = []
    for number in range(100):
        poller.call(fail if number == 50 else lambda number=number: seen.append(number))
    done(poller)
    assert seen == [number for number in range(100) if number != 50]
    assert reported == ["a bug"]


def test_a_socket_is_watched_until_it_is_forgotten(
    poller: Poller, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    seen, came = list[bytes](), threading.Event()

    def take() -> None:
        seen.append(ours.recv(10))
        came.set()

    poller.call(lambda: poller.watch(ours, READ, take))
    for word in (b"a", b"b"):
        theirs.send(word)
        assert came.wait(10)
        came.clear()
    poller.call(lambda: poller.forget(ours))
    done(poller)
    theirs.send(b"c")
    assert not came.wait(0.05)
    assert seen == [b"a", b"b"]


def test_only_the_last_alarm_of_a_key_rings_and_once(poller: Poller) -> None:
    rung, over = list[str](), threading.Event()

    def set_all() -> None:
        now = poller.now()
        poller.alarm("a", now + 0.01, lambda: rung.append("first"))
        poller.alarm("a", now + 0.02, lambda: rung.append("second"))
        poller.alarm("b", now + 0.01, lambda: rung.append("forgotten"))
        poller.alarm("c", now + 0.01, fail)
        poller.forget("b")
        poller.alarm("end", now + 0.2, over.set)

    poller.call(set_all)
    assert over.wait(10)
    assert rung == ["second"]


def test_a_deadline_that_has_passed_rings_at_once(poller: Poller) -> None:
    rung = threading.Event()
    poller.call(lambda: poller.alarm("late", poller.now() - 5, rung.set))
    assert rung.wait(10)
