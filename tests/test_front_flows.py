"""What goes in and out of a connection keeps its order, in whatever pieces it comes and leaves."""

from __future__ import annotations

import io
import socket
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_http.inflow import Inflow
from gateway_http.outflow import Outflow
from gateway_http.patience import Patience
from gateway_http.slow_bodies import SlowBodies

PATIENCE = 5.0, 1e6
Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Yield a client's end and ours, which does not block."""
    theirs, ours = socket.socketpair()
    with theirs, ours:
        ours.setblocking(False)
        yield theirs, ours


# Of some arrivals the inflow makes objects of their own, of the smaller ones it does not.
ARRIVALS = st.sampled_from([b"a", b"bc\r\n", b"\n", b"d" * 100, b"e" * 17_000, b"\nf" * 20_000])
STEPS = st.sampled_from(["pull", "held", "read 3", "read 20000", "line 10", "line 30000"])


@settings(max_examples=60, deadline=None)
@given(arrivals=st.lists(ARRIVALS, max_size=6), steps=st.lists(STEPS, max_size=10))
def test_what_arrives_is_read_in_order(arrivals: list[bytes], steps: list[str]) -> None:
    theirs, ours = socket.socketpair()
    with theirs, ours:
        ours.setblocking(False)
        inflow, arriving = Inflow(ours, Patience(*PATIENCE), SlowBodies()), iter(arrivals)
        whole = io.BytesIO(b"".join(arrivals))
        for step in steps:
            what, _, size = step.partition(" ")
            if what == "pull" and (data := next(arriving, None)) is not None:
                theirs.sendall(data)
                wanted = len(inflow) + len(data)
                while len(inflow) < wanted:
                    inflow.pull()
            elif what == "held":
                rest = whole.getvalue()[whole.tell() : whole.tell() + len(inflow)]
                assert inflow.held() == rest
                assert inflow.peek(min(5, len(rest))) == rest[:5]
            elif what == "read":
                got = inflow.read(int(size))
                assert len(got) > 0 or not len(inflow)
                assert got == whole.read(len(got))
            elif what == "line":
                here = len(inflow)
                assert inflow.readline(int(size)) == whole.readline(min(here, int(size)))
        inflow.waits = True
        for data in arriving:
            theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        assert b"".join(iter(lambda: inflow.read(50_000), b"")) == whole.read()


def test_a_piece_is_not_copied_on_its_way(pair: Pair) -> None:
    theirs, ours = pair
    inflow = Inflow(ours, Patience(*PATIENCE), SlowBodies())
    theirs.sendall(b"x" * 50_000)
    while len(inflow) < 50_000:
        inflow.pull()
    first = inflow.held()
    assert inflow.read(100_000) is first


def test_many_small_pieces_are_few_objects(pair: Pair) -> None:
    theirs, ours = pair
    inflow = Inflow(ours, Patience(*PATIENCE), SlowBodies())
    for _ in range(1_000):
        theirs.send(b"x")
        inflow.pull()
    assert inflow.read(100_000) == b"x" * 1_000


def test_an_answers_pieces_go_out_together(pair: Pair) -> None:
    theirs, ours = pair
    theirs.setblocking(False)
    outflow = Outflow(ours, Patience(*PATIENCE))
    outflow.gathers = True
    for piece in (b"head", b"body", b""):
        outflow.write(piece)
    with pytest.raises(BlockingIOError):
        theirs.recv(10)
    outflow.send()
    assert theirs.recv(10) == b"headbody"
    outflow.write(b"event")
    assert theirs.recv(10) == b"event"


def test_an_answer_of_many_pieces_arrives_as_it_is_read(pair: Pair) -> None:
    theirs, ours = pair
    outflow = Outflow(ours, Patience(*PATIENCE))
    pieces = [bytes([number]) * (1 + number % 7 * 30_000) for number in range(200)]
    outflow.gathers = True
    for piece in pieces:
        outflow.write(piece)  # waits for nobody, though nobody reads
    outflow.send()
    got = bytearray()
    while outflow.pending:
        got += theirs.recv(1_000_000)
        outflow.flush()
    ours.shutdown(socket.SHUT_WR)
    while data := theirs.recv(1_000_000):
        got += data
    assert bytes(got) == b"".join(pieces)
    assert outflow.bytes_written == len(got)
