"""What no honest client sends: each ends by the contract's error or a close, and harms nobody."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Iterator

import pytest

from gateway_http.bounds import Bounds
from tests.fake_servicer import FakeServicer, serving
from tests.front_running import Front, edited, form, listening
from tests.wire import EDITS, Answer, answers, ask, client, edit, get, to_end

GET = b"GET /healthz HTTP/1.1\r\n"
HOST = b"Host: x\r\n"
POST = f"POST {EDITS} HTTP/1.1\r\nHost: x\r\n".encode()
KEYED = POST + b"Authorization: Bearer k\r\nContent-Type: multipart/form-data; boundary=b\r\n"
PART = b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\nx\r\n'
TINY = b"".join(PART % b"p%d" % number for number in range(1_000)) + b"--b--\r\n"
SAME = PART % b"prompt" * 1_000 + b"--b--\r\n"
HUGE_HEADER = b"--b\r\nX: " + b"a" * 200_000 + b"\r\n\r\nx\r\n--b--\r\n"


def sized(body: bytes, boundary: bytes = b"b") -> bytes:
    head = KEYED.replace(b"boundary=b", b"boundary=" + boundary if boundary else b"a=b")
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def chunked(*pieces: bytes) -> bytes:
    return KEYED + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(pieces)


# What the client sends, and the status it gets.
HEADS: dict[str, tuple[bytes, int]] = {
    "no host": (GET + b"\r\n", 400),
    "two hosts": (GET + HOST + HOST + b"\r\n", 400),
    "two different hosts": (GET + HOST + b"Host: y\r\n\r\n", 400),
    "a host with a space": (GET + b"Host: a b\r\n\r\n", 400),
    "an absolute URI": (b"GET http://y/healthz HTTP/1.1\r\nHost: x\r\n\r\n", 200),
    "an absolute URI without host": (b"GET http://y/healthz HTTP/1.1\r\n\r\n", 400),
    "HTTP/1.0 without host": (b"GET /healthz HTTP/1.0\r\n\r\n", 200),
    "HTTP/0.9": (b"GET /healthz\r\n", 400),
    "HTTP/2's preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "a TLS hello": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "a tabulator in the target": (b"GET /heal\tthz HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "two spaces": (b"GET  /healthz HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a signed version": (b"GET /healthz HTTP/+1.1\r\n" + HOST + b"\r\n", 400),
    "a NUL in the target": (b"GET /\x00 HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a folded line": (GET + HOST + b"X: a\r\n b\r\n\r\n", 400),
    "a folded first line": (GET + b" X: a\r\n" + HOST + b"\r\n", 400),
    "a vertical tabulator around a value": (GET + HOST + b"X:\x0ba\x0b\r\n\r\n", 400),
    "a NUL in a value": (GET + HOST + b"X: a\x00b\r\n\r\n", 400),
    "a bare CR": (GET + HOST + b"X: a\rY: b\r\n\r\n", 400),
    "a bare LF": (GET + HOST + b"X: a\nY: b\r\n\r\n", 400),
    "LF alone": (b"GET /healthz HTTP/1.1\nHost: x\n\n", 400),
    "a space before the colon": (GET + HOST + b"X : a\r\n\r\n", 400),
    "a header without a colon": (GET + HOST + b"nothing\r\n\r\n", 400),
    "a header of 70 KB": (GET + HOST + b"X: " + b"a" * 70_000 + b"\r\n\r\n", 413),
    "10,000 headers": (GET + HOST + b"X: abc\r\n" * 10_000 + b"\r\n", 413),
    "a target of 70 KB": (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
    "an endless first line": (b"A" * 70_000, 414),
    "a method of our own": (b"BREW /healthz HTTP/1.1\r\n" + HOST + b"\r\n", 405),
    "CONNECT": (b"CONNECT x:443 HTTP/1.1\r\n" + HOST + b"\r\n", 404),
    "an expectation of HTTP/1.0": (
        b"GET /healthz HTTP/1.0\r\nExpect: 100-continue\r\n\r\n",
        200,
    ),
    "a length with a sign": (POST + b"Content-Length: +5\r\n\r\n", 400),
    "a length with a vertical tabulator": (POST + b"Content-Length:\x0b5\r\n\r\n", 400),
    "a length with a space": (POST + b"Content-Length: 5 5\r\n\r\n", 400),
    "a length with an underscore": (POST + b"Content-Length: 5_5\r\n\r\n", 400),
    "a length in other digits": (POST + "Content-Length: ٥\r\n\r\n".encode(), 400),
    "a length of 30 digits": (POST + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n", 400),
    "two lengths": (POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n", 400),
    "a list of lengths": (POST + b"Content-Length: 5, 5\r\n\r\n", 400),
    "length and chunks": (
        POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "chunks twice": (POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400),
    "chunks with a vertical tabulator": (
        POST + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "chunks of HTTP/1.0": (
        POST.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "the head cut short": (POST, 400),
    "a small body cut short": (POST + b"Content-Length: 50\r\n\r\n--b\r\n", 400),
}
BODIES: dict[str, tuple[bytes, int]] = {
    "1,000 tiny parts": (sized(TINY), 400),
    "one part 1,000 times": (sized(SAME), 400),
    "a giant part header": (sized(HUGE_HEADER), 400),
    "parts without end": (sized(PART % b"prompt"), 400),
    "no boundary": (sized(b"x", b""), 400),
    "a boundary of 10 KB": (sized(b"x", b"b" * 10_000), 400),
    "another boundary": (sized(b"--c\r\n\r\n\r\n--c--\r\n"), 400),
    "a body of 2 MB without boundary": (sized(bytes(2_000_000)), 400),
    "a part without a name": (sized(b"--b\r\nX: y\r\n\r\nx\r\n--b--\r\n"), 400),
    "a line end in a part's name": (sized(PART % b"a\r\nx-evil: 1" + b"--b--\r\n"), 400),
    "a huge chunk": (chunked(b"fffffffffffffff\r\nx"), 400),
    "a chunk of too many digits": (chunked(b"f" * 20 + b"\r\nx"), 400),
    "a chunk size with a sign": (chunked(b"+5\r\nhello\r\n0\r\n\r\n"), 400),
    "a chunk size with a prefix": (chunked(b"0x5\r\nhello\r\n0\r\n\r\n"), 400),
    "a chunk that ends elsewhere": (chunked(b"5\r\nhello!!\r\n0\r\n\r\n"), 400),
    "a chunk extension without end": (chunked(b"5;" + b"a" * 70_000), 400),
    "1,000 trailers": (chunked(b"0\r\n" + b"X: y\r\n" * 1_000 + b"\r\n"), 400),
    "chunks cut short": (chunked(b"5\r\nhe"), 400),
    "a large body cut short": (sized(bytes(2_000_000))[:100_000], 400),
}


@pytest.fixture(scope="module")
def door() -> Iterator[tuple[FakeServicer, Front]]:
    """A front for all, so that what one leaves behind would meet the next."""
    with serving() as fake, listening(fake, Bounds(head=5, idle=5)) as front:
        yield fake, front
        # Nothing of it was a fault of ours.
        assert {line["event"] for line in front.log} == {"request", "refused"}
        assert not [line for line in front.log if line["status"] >= 500 and line["status"] != 505]


def exchange(front: Front, sent: bytes) -> list[Answer]:
    """Send, end our side, and return what is answered until the server closes."""
    with client(front.address) as connection:
        try:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it was told before it had sent all
        return answers(to_end(connection))


def check(answer: Answer, status: int) -> None:
    assert answer.status == status
    assert uuid.UUID(answer.headers["x-request-id"]).version == 4
    if status != 200:
        assert answer.error["message"]
        assert answer.headers["content-type"] == "application/json"


def still_serves(fake: FakeServicer, front: Front) -> None:
    fake.queue("EditImage", edited())
    assert ask(front.address, edit()).status == 200


@pytest.mark.parametrize("what", HEADS)
def test_a_hostile_head(door: tuple[FakeServicer, Front], what: str) -> None:
    fake, front = door
    sent, status = HEADS[what]
    (answer,) = exchange(front, sent)
    check(answer, status)
    still_serves(fake, front)


@pytest.mark.parametrize("what", BODIES)
def test_a_hostile_body(door: tuple[FakeServicer, Front], what: str) -> None:
    fake, front = door
    sent, status = BODIES[what]
    fake.accept_key()
    (answer,) = exchange(front, sent)
    check(answer, status)
    assert answer.headers["x-ratelimit-limit"] == "60"
    still_serves(fake, front)


def test_extensions_and_trailers_are_read_over(door: tuple[FakeServicer, Front]) -> None:
    fake, front = door
    sent = form()
    data = sent["data"]
    head = POST + b"Authorization: Bearer k\r\nConnection: close\r\nContent-Type: "
    head += sent["content_type"].encode() + b"\r\nTransfer-Encoding: Chunked\r\n\r\n"
    body = b"%X;name=value\r\n" % len(data) + data + b"\r\n000;x\r\nx-trailer: y\r\n\r\n"
    fake.accept_key()
    fake.queue("EditImage", edited())
    with client(front.address) as connection:
        connection.sendall(head + body)
        (answer,) = answers(to_end(connection))
    check(answer, 200)


def test_a_client_may_leave_at_any_byte(door: tuple[FakeServicer, Front]) -> None:
    fake, front = door
    whole = edit(key=None)
    for place in range(0, len(whole), 7):
        with client(front.address) as connection:
            connection.sendall(whole[:place])
    still_serves(fake, front)


def test_requests_that_follow_at_once_are_answered_in_order(
    door: tuple[FakeServicer, Front],
) -> None:
    fake, front = door
    fake.queue("EditImage", edited())
    sent = get() + get("/nowhere") + edit() + get()[:-2] + b"Connection: close\r\n\r\n" + get()
    with client(front.address) as connection:
        connection.sendall(sent)
        got = answers(to_end(connection))
    assert [answer.status for answer in got] == [200, 404, 200, 200]


@pytest.mark.parametrize("said", ["close", "Close", "CLOSE, te", "keep-alive, close"])
def test_a_connection_ends_when_the_client_says_so(
    door: tuple[FakeServicer, Front], said: str
) -> None:
    _, front = door
    with client(front.address) as connection:
        connection.sendall(get()[:-2] + f"Connection: {said}\r\n\r\n".encode())
        (answer,) = answers(to_end(connection))
    assert answer.headers["connection"] == "close"


FIELDS = ["model", "prompt", "size", "quality", "n", "user", "seed", "background", "output_format"]


@pytest.mark.parametrize("field", [*FIELDS, "stream", "mask_fidelity", "response_format"])
def test_line_ends_in_a_field_make_no_header(door: tuple[FakeServicer, Front], field: str) -> None:
    fake, front = door
    passes = field in {"model", "prompt", "user"}
    if passes:
        fake.queue("EditImage", edited())
    else:
        fake.accept_key()
    answer = ask(front.address, edit(**{field: "a\r\nx-evil: 1\r\n\r\nb"}))
    check(answer, 200 if passes else 400)
    assert "x-evil" not in answer.headers


@pytest.mark.parametrize("name", ["Idempotency-Key", "X-Request-Id", "X-Stainless-Retry-Count"])
def test_a_line_end_in_a_header_is_refused(door: tuple[FakeServicer, Front], name: str) -> None:
    fake, front = door
    (answer,) = exchange(front, edit(more=f"{name}: a\rx-evil: 1\r\n"))
    check(answer, 400)
    assert "x-evil" not in answer.headers
    still_serves(fake, front)
