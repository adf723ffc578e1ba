"""The front behind its real listener, over real sockets: limits, early answers, hostile framing."""

from __future__ import annotations

import io
import json
import re
import socket
import uuid
from collections.abc import Iterator

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.test import EnvironBuilder, run_wsgi_app

from gateway_http.bounds import Bounds
from gateway_http.metadata import can_carry
from tests import whole
from tests.fake_servicer import FakeServicer, serving
from tests.front_running import KEY, PNG, Front, edited, form, in_process, listening, streamed

PATH = "/v1/images/edits"
LIMIT = 100_000_000
HEAD = (
    b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\na/b\r\n'
    b'--b\r\nContent-Disposition: form-data; name="image"; filename="x"\r\n\r\n'
)
TAIL = b"\r\n--b--\r\n"
TYPE = {"Content-Type": "multipart/form-data; boundary=b"}


@pytest.fixture
def fake() -> Iterator[FakeServicer]:
    with serving() as fake:
        yield fake


@pytest.fixture
def front(fake: FakeServicer) -> Iterator[Front]:
    with listening(fake) as front:
        yield front


@pytest.fixture
def in_memory(fake: FakeServicer) -> Iterator[Front]:
    with in_process(fake) as front:
        yield front


@pytest.fixture(scope="module")
def door() -> Iterator[Front]:
    """A front that is never asked for an edit, shared."""
    with serving() as fake, listening(fake) as front:
        yield front


def body(size: int) -> Iterator[bytes]:
    """Yield a form of `size` bytes in all."""
    filler = size - len(HEAD) - len(TAIL)
    piece = bytes(1_000_000)
    yield HEAD
    for start in range(0, filler, len(piece)):
        yield piece[: min(len(piece), filler - start)]
    yield TAIL


class Sized(io.RawIOBase):
    """A body that requests sends with a Content-Length."""

    def __init__(self, size: int) -> None:
        self.len = size
        self._pieces = body(size)

    def read(self, size: int = -1, /) -> bytes:
        return next(self._pieces, b"")


def exchange(front: Front, sent: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send raw bytes and return status, headers and body of the answer, read to the end."""
    with socket.create_connection(front.address, timeout=10) as client:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: client.recv(65_536), b""))
    head, _, rest = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return int(status.split()[1]), headers, rest


@pytest.mark.parametrize("kind", ["Content-Length", "chunked"])
def test_the_largest_body_is_read_and_one_byte_more_is_not(
    fake: FakeServicer, front: Front, kind: str
) -> None:
    fake.accept_key(2)
    fake.queue("StreamEditImage", streamed(PNG))
    for size, status in ((LIMIT, 200), (LIMIT + 1, 413)):
        data = Sized(size) if kind == "Content-Length" else body(size)
        answer = requests.post(front.url + PATH, data=data, headers=KEY | TYPE, timeout=30)
        assert answer.status_code == status
    assert answer.json()["error"]["code"] == "invalid_request_error"
    assert answer.headers["Connection"] == "close"
    (edit,) = [call for call in fake.calls if call.method == "StreamEditImage"]
    sent = sum(len(message.image_chunk.data) for message in edit.messages)
    assert sent == LIMIT - len(HEAD) - len(TAIL)
    line = front.log[0]
    assert (line["status"], line["bytes_in"]) == (200, LIMIT)


def test_a_refusal_reaches_a_client_that_sends_60_mb_first(
    fake: FakeServicer, front: Front
) -> None:
    for _ in range(3):
        fake.refuse_key()
    for data in (Sized(60_000_000), body(60_000_000)):
        answer = requests.post(front.url + PATH, data=data, headers=KEY | TYPE, timeout=30)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")
        assert answer.headers["Connection"] == "close"
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: {TYPE['Content-Type']}\r\n"
        f"Content-Length: 60000000\r\n\r\n"
    ).encode()
    # A client that looks for no answer before all is sent.
    status, headers, _ = exchange(front, head + b"".join(body(60_000_000)))
    assert (status, headers["connection"]) == (401, "close")
    # What was refused was never read.
    assert {line["bytes_in"] for line in front.log} == {0}


def test_a_client_that_asks_first_sends_nothing_in_vain(fake: FakeServicer, front: Front) -> None:
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\nExpect: 100-continue\r\n"
        f"Content-Type: {TYPE['Content-Type']}\r\nContent-Length: %d\r\n\r\n"
    )
    fake.refuse_key()
    with socket.create_connection(front.address, timeout=10) as client:
        client.sendall((head % 60_000_000).encode())
        assert client.recv(65_536).startswith(b"HTTP/1.1 401 ")
    fake.queue("EditImage", edited())
    small = HEAD + PNG + TAIL
    with socket.create_connection(front.address, timeout=10) as client:
        client.sendall((head % len(small)).encode())
        assert client.recv(65_536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(small)
        assert client.recv(65_536).startswith(b"HTTP/1.1 200 ")


def test_a_connection_serves_many_requests(fake: FakeServicer, front: Front) -> None:
    with requests.Session() as session:
        for number in range(3):
            fake.queue("EditImage", edited())
            sent = form(prompt=str(number))
            headers = KEY | {"Content-Type": sent["content_type"]}
            data = sent["data"] if number else iter([sent["data"][:50], sent["data"][50:]])
            if number == 0:
                fake.accept_key()  # a body of unknown length may be large
            answer = session.post(front.url + PATH, data=data, headers=headers, timeout=10)
            assert answer.status_code == 200
            assert "Connection" not in answer.headers
    prompts = [call.messages[0].prompt for call in fake.calls if call.method == "EditImage"]
    assert prompts == ["0", "1", "2"]


def test_a_large_answer_arrives_whole(fake: FakeServicer, front: Front) -> None:
    picture = bytes(range(256)) * 150_000
    fake.accept_key()
    fake.queue("StreamEditImage", streamed(picture))
    answer = requests.post(front.url + PATH, data=Sized(2_000_000), headers=KEY | TYPE, timeout=30)
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    assert len(answer.json()["data"][0]["b64_json"]) == len(picture) * 4 // 3


REQUEST = f"POST {PATH} HTTP/1.1\r\nHost: x\r\n".encode()
BROKEN = [
    b"nonsense\r\n\r\n",
    b"GET / HTTP/1.1\nHost: x\n\n",
    b"GET / HTTP/7.0\r\n\r\n",
    b"GET http://[::1/ HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nX\x00: a\r\n\r\n",
    REQUEST + b"Transfer-Encoding: identity\r\n\r\n",
    b"get / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
    b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    REQUEST + b"Content-Length: -1\r\n\r\n",
    REQUEST + b"Content-Length: 1_0\r\n\r\n",
    REQUEST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
    REQUEST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    REQUEST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
]


@pytest.mark.parametrize("sent", BROKEN, ids=range(len(BROKEN)))
def test_a_request_that_no_app_sees_is_an_error_of_the_usual_shape(
    door: Front, sent: bytes
) -> None:
    status, headers, rest = exchange(door, sent)
    assert status in {400, 413, 414, 501, 505}
    assert set(json.loads(rest)["error"]) == {"message", "type", "param", "code"}
    assert uuid.UUID(headers["x-request-id"]).version == 4
    assert headers["connection"] == "close"
    assert headers["content-type"] == "application/json"


def test_a_broken_chunk_is_a_400(fake: FakeServicer, front: Front) -> None:
    head = REQUEST + b"Content-Type: multipart/form-data; boundary=b\r\nAuthorization: Bearer k\r\n"
    head += b"Transfer-Encoding: chunked\r\n\r\n"
    for rest in (b"zz\r\n", b"5\r\nabc", b"ffffffffff\r\nabc", b"-5\r\n"):
        fake.accept_key()
        status, headers, answer = exchange(front, head + rest)
        assert status == 400
        assert json.loads(answer)["error"]["type"] == "invalid_request_error"
        assert headers["x-ratelimit-limit"] == "60"


PARTS = b"Authorization: Bearer k\r\nContent-Type: multipart/form-data; boundary=b\r\n"
SILENT = {
    "in its header": REQUEST,
    "in a small body": REQUEST + PARTS + b"Content-Length: 99\r\n\r\n--b\r\n",
    "in a large body": REQUEST + PARTS + b"Content-Length: 9999999\r\n\r\n--b\r\n",
    "in a chunk": REQUEST + PARTS + b"Transfer-Encoding: chunked\r\n\r\n5\r\n--b",
}


@pytest.mark.parametrize("where", SILENT)
def test_a_client_that_falls_silent_is_told(fake: FakeServicer, where: str) -> None:
    if where in {"in a large body", "in a chunk"}:
        fake.accept_key()  # a thread waits for it only with a valid key
    with (
        listening(fake, Bounds(head=0.2, idle=0.2)) as front,
        socket.create_connection(front.address, timeout=10) as client,
    ):
        client.sendall(SILENT[where])
        answer = b"".join(iter(lambda: client.recv(65_536), b""))
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"type":"invalid_request_error"' in answer
    assert b"x-request-id: " in answer


def test_headers_with_underscores_are_nobodys(fake: FakeServicer, front: Front) -> None:
    fake.refuse_key()
    status, _, _ = exchange(front, REQUEST + b"authoriz_ation: x\r\nIdempotency_Key: y\r\n\r\n")
    assert status == 401
    assert not {"authorization", "idempotency-key"} & set(fake.calls[0].metadata)


def test_what_follows_an_unread_body_is_no_request(fake: FakeServicer, front: Front) -> None:
    smuggled = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    for framing in (
        b"Content-Length: %d\r\n\r\n" % len(smuggled) + smuggled,
        b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(smuggled) + smuggled,
    ):
        with socket.create_connection(front.address, timeout=10) as client:
            client.sendall(b"POST /nowhere HTTP/1.1\r\nHost: x\r\n" + framing)
            client.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: client.recv(65_536), b""))
        assert answer.startswith(b"HTTP/1.1 404 ")
        assert answer.count(b"HTTP/1.1 ") == 1


EXPECTED = {"content-type", "content-length", "date", "server", "connection", "x-request-id",
            "x-should-retry",
            "x-ratelimit-limit", "x-ratelimit-remaining", "x-ignored-parameters"}  # fmt: skip
UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
hostile = st.text(max_size=10).map(lambda text: f"{text}\r\nx-evil: 1\r\n\r\n{text}")


def test_no_field_makes_a_header(fake: FakeServicer, in_memory: Front) -> None:
    @settings(max_examples=whole.of(100, 30), deadline=None)
    @given(
        name=st.sampled_from(["prompt", "size", "quality", "seed", "user", "evil", "n"]),
        value=hostile,
        mask=hostile,
    )
    def check(name: str, value: str, mask: str) -> None:
        passes = name in {"prompt", "user"}
        if passes:
            fake.queue("EditImage", edited())
        else:
            fake.accept_key()
        sent = form(**{name: value}, mask=mask.encode())
        answer = in_memory.app.test_client().post(PATH, **sent, headers=KEY)
        assert answer.status_code == (200 if passes else 400)
        assert {header.lower() for header, _ in answer.headers} <= EXPECTED
        assert UUID4.fullmatch(answer.headers["x-request-id"])

    check()


def test_no_header_makes_a_header_or_a_crash(fake: FakeServicer, in_memory: Front) -> None:
    @settings(max_examples=whole.of(100, 30), deadline=None)
    @given(
        name=st.sampled_from(["AUTHORIZATION", "IDEMPOTENCY_KEY", "X_STAINLESS_RETRY_COUNT"]),
        value=st.binary(max_size=20).map(lambda raw: raw.decode("latin-1")),
    )
    def check(name: str, value: str) -> None:
        passes = name == "AUTHORIZATION" and can_carry(value.strip())
        if passes:
            fake.queue("EditImage", edited())
        else:
            fake.refuse_key()
        environ = {f"HTTP_{name}": value}
        client = in_memory.app.test_client()
        answer = client.post(PATH, **form(), environ_overrides=environ)
        assert answer.status_code == (200 if passes else 401)
        assert {header.lower() for header, _ in answer.headers} <= EXPECTED
        assert UUID4.fullmatch(answer.headers["x-request-id"])

    check()


@settings(max_examples=whole.of(100, 30), deadline=None)
@given(
    value=st.sampled_from(["", "[", "a b", "a:b:c", "\xff", "xn--", "a..b", "x" * 300])
    | st.binary(max_size=20).map(lambda raw: raw.decode("latin-1"))
)
def test_no_host_makes_a_crash(value: str) -> None:
    environ = EnvironBuilder("/healthz").get_environ() | {"HTTP_HOST": value}
    with in_process(FakeServicer()) as front:
        _, status, headers = run_wsgi_app(front.app, environ)
    assert status[:3] in {"200", "400", "404"}
    assert UUID4.fullmatch(headers["x-request-id"])
