"""An upstream's answer as events: read as the standard says, to its end and no further, bounded."""

from __future__ import annotations

import base64
import itertools
import json
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.providers.picture_events import Event
from server.upstream.attempt import Attempt
from server.upstream.event_stream import CutShort, Endless, EventReader, follow
from server.upstream.session import TimedOut, Unanswered, send
from server.upstream.watchdog import Watchdog
from tests.fault_upstream import (
    CALL,
    CHUNKED,
    OK,
    Behaviour,
    Connection,
    FaultUpstream,
    answering,
    endpoint,
    response,
)

STREAM = b"Content-Type: text/event-stream; charset=utf-8\r\n"
CHUNKED_STREAM = CHUNKED[:-2] + STREAM + b"\r\n"


def frame(kind: str, picture: bytes = b"", **members: object) -> bytes:
    """Return an event with its name, as OpenAI sends it."""
    body = {"type": kind, "b64_json": base64.b64encode(picture).decode(), **members}
    return f"event: {kind}\ndata: {json.dumps(body)}\n\n".encode()


FIRST = frame("image_edit.partial_image", b"first", partial_image_index=0)
SECOND = frame("image_generation.partial_image", b"second")
DONE = frame("image_edit.completed", b"whole", usage={})
FAILED = b'event: error\ndata: {"type": "error", "error": {"code": "x"}}\n\n'


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["", "a", "image_edit.completed"]),
            st.lists(st.text("ab: é", min_size=1, max_size=8), min_size=1, max_size=3),
        ),
        max_size=5,
    ),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.lists(st.integers(0, 300), max_size=15),
)
def test_events_survive_any_line_ends_comments_and_cuts(
    wanted: list[tuple[str, list[str]]], end: str, cuts: list[int]
) -> None:
    lines = [": a comment", "", "id: 7"]
    for name, data in wanted:
        lines += [f"event: {name}"] if name else []
        lines += [": OPENROUTER PROCESSING", *(f"data: {line}" for line in data), ""]
    raw = ("\ufeff" + "".join(line + end for line in lines)).encode()
    places = sorted({0, len(raw), *(cut % (len(raw) + 1) for cut in cuts)})
    reader = EventReader(1_000)
    found = [
        event
        for start, stop in itertools.pairwise(places)
        for event in reader.feed(raw[start:stop])
    ]
    assert found == [Event(name, "\n".join(data).encode()) for name, data in wanted]


@pytest.mark.parametrize("last", [DONE, FAILED, DONE.split(b"\n", 1)[1], FAILED.split(b"\n", 1)[1]])
def test_a_stream_is_followed_to_its_answer_and_no_further(last: bytes) -> None:
    pieces = iter([b": hello\n\n", FIRST + b'data: {"type": "ping"}\n\n', SECOND + last, b"never"])
    seen: list[bytes] = []
    body = follow(pieces, 1_000, seen.append)
    assert seen == [b"first", b"second"]
    assert body == last.split(b"data: ")[1].removesuffix(b"\n\n")
    assert next(pieces) == b"never"


@pytest.mark.parametrize(
    "pieces",
    [[], [FIRST], [FIRST, b"data: [DONE]\n\n"], [DONE[:-1]], [b"data: {}\n\n"], [b"no event"]],
)
def test_a_stream_that_ends_too_soon_is_cut_short(pieces: list[bytes]) -> None:
    with pytest.raises(CutShort):
        follow(pieces, 1_000, lambda _: None)


@pytest.mark.parametrize(
    "piece", [b"a" * 100, b"data: abcdefg\n", b"data: " + b"a" * 99 + b"\n\n", FIRST]
)
def test_an_endless_stream_is_left(piece: bytes) -> None:
    taken = 0

    def forever() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += len(piece)
            yield piece

    with pytest.raises(Endless):
        follow(forever(), 1_000, lambda _: None)
    assert taken <= 4_000 + 2 * len(piece)


def test_a_partial_picture_that_is_none_is_left_out() -> None:
    broken = FIRST.replace(base64.b64encode(b"first"), b"!")
    seen: list[bytes] = []
    follow([broken, b'event: x.partial_image\ndata: "text"\n\n', DONE], 1_000, seen.append)
    assert seen == []


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


@pytest.fixture(scope="module")
def watchdog() -> Iterator[Watchdog]:
    watchdog = Watchdog()
    yield watchdog
    watchdog.close()


def asked(behave: Behaviour, watchdog: Watchdog, box: float = 5.0) -> tuple[bytes, list[bytes]]:
    seen: list[bytes] = []
    with FaultUpstream(behave) as upstream, Attempt(box, watchdog) as attempt:
        answer = send(CALL, endpoint(upstream.origin), attempt, on_partial=seen.append)
    assert upstream.requests[0].header("accept") == "text/event-stream, application/json"
    return answer.body, seen


WHOLE: dict[str, Behaviour] = {
    "chunks": answering(CHUNKED_STREAM, *map(chunk, (FIRST, SECOND, DONE, b"")), b"\r\n"),
    "no length": answering(OK + STREAM + b"\r\n", FIRST + SECOND + DONE),
    "a length": answering(response(FIRST + SECOND + DONE, headers=(STREAM.decode().strip(),))),
    "kept open": answering(CHUNKED_STREAM, chunk(FIRST + SECOND + DONE), then=Connection.hang),
    "cut after it": answering(CHUNKED_STREAM, chunk(FIRST + SECOND + DONE), b"ff\r\n"),
}


@pytest.mark.parametrize("behave", WHOLE.values(), ids=WHOLE)
def test_an_answer_as_events(behave: Behaviour, watchdog: Watchdog) -> None:
    body, seen = asked(behave, watchdog)
    assert seen == [b"first", b"second"]
    assert json.loads(body)["b64_json"] == base64.b64encode(b"whole").decode()


def test_a_partial_picture_is_there_before_the_answer(watchdog: Watchdog) -> None:
    with Attempt(5, watchdog) as attempt:
        behave = answering(CHUNKED_STREAM, chunk(FIRST), then=Connection.hang)
        with FaultUpstream(behave) as upstream, pytest.raises(LookupError):
            send(CALL, endpoint(upstream.origin), attempt, on_partial=lambda _: {}["left"])


CUT: dict[str, Behaviour] = {
    "between events": answering(CHUNKED_STREAM, chunk(FIRST)),
    "inside one": answering(CHUNKED_STREAM, chunk(FIRST + DONE[:30])),
    "ended in order": answering(
        CHUNKED_STREAM, chunk(FIRST), chunk(b"data: [DONE]\n\n"), b"0\r\n\r\n"
    ),
    "no length": answering(OK + STREAM + b"\r\n", FIRST),
}


@pytest.mark.parametrize("behave", CUT.values(), ids=CUT)
def test_a_cut_is_no_answer(behave: Behaviour, watchdog: Watchdog) -> None:
    with pytest.raises(Unanswered):
        asked(behave, watchdog)


def test_comments_do_not_outlive_the_attempt(watchdog: Watchdog) -> None:
    def drip(connection: Connection) -> None:
        while not connection.stopped.wait(0.02):
            connection.write(chunk(b": OPENROUTER PROCESSING\n\n"))

    began = time.monotonic()
    with pytest.raises(TimedOut):
        asked(answering(CHUNKED_STREAM, then=drip), watchdog, box=0.3)
    assert time.monotonic() - began < 2


def test_a_plain_answer_to_who_would_take_events(watchdog: Watchdog) -> None:
    assert asked(answering(response(b'{"a": 1}')), watchdog) == (b'{"a": 1}', [])
