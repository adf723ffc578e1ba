"""Bodies on a connection: chunked coding read piecewise, and never past the end."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_http.body import ChunkedBody, SizedBody
from tests import whole

NEXT = b"GET /next HTTP/1.1\r\n"


def nothing() -> None:
    """Stand for what is called before the first byte."""


def chunked(pieces: list[bytes], extension: bytes = b"", trailers: bytes = b"") -> bytes:
    coded = [b"%x%s\r\n%s\r\n" % (len(piece), extension, piece) for piece in pieces if piece]
    return b"".join([*coded, b"0\r\n", trailers, b"\r\n"])


@settings(max_examples=whole.of(200, 60), deadline=None)
@given(
    pieces=st.lists(st.binary(max_size=50), max_size=10),
    extension=st.sampled_from([b"", b";a=b", b" "]),
    trailers=st.sampled_from([b"", b"X: y\r\n"]),
    sizes=st.lists(st.integers(min_value=1, max_value=70), min_size=1, max_size=5),
)
def test_chunks_become_their_content(
    pieces: list[bytes], extension: bytes, trailers: bytes, sizes: list[int]
) -> None:
    source = io.BytesIO(chunked(pieces, extension, trailers) + NEXT)
    body, got, turn = ChunkedBody(source, nothing), b"", 0
    while data := body.read(sizes[turn % len(sizes)]):
        assert len(data) <= sizes[turn % len(sizes)]
        got, turn = got + data, turn + 1
    assert got == b"".join(pieces)
    assert body.exhausted
    assert source.read() == NEXT


@settings(max_examples=whole.of(300, 80), deadline=None)
@given(
    data=st.lists(
        st.sampled_from([b"5\r\n", b"\r\n", b"0\r\n", b"-1\r\n", b"ffffffffffffffff\r\n", b"abcde"])
        | st.binary(max_size=8),
        max_size=10,
    ).map(b"".join)
)
def test_any_bytes_give_content_or_a_value_error(data: bytes) -> None:
    body = ChunkedBody(io.BytesIO(data), nothing)
    try:
        while body.read(64):
            pass
    except ValueError:
        return
    assert body.exhausted


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"5\r\nabc",
        b"5\r\nabcdeXX",
        b"5\nabcde\n0\n\n",
        b"0x5\r\nabcde\r\n0\r\n\r\n",
        b"+5\r\nabcde\r\n0\r\n\r\n",
        b"5" * 300,
        b"1;" + b"x" * 300 + b"\r\na\r\n0\r\n\r\n",
        b"1\r\na\r\n0\r\n" + b"X: y\r\n" * 200,
    ],
)
def test_a_broken_coding_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"chunk|trailers"):
        ChunkedBody(io.BytesIO(data), nothing).read()


def test_the_client_is_invited_once_and_only_when_it_is_awaited() -> None:
    for make in (
        lambda called: SizedBody(io.BytesIO(b"abc"), 3, lambda: called.append(1)),
        lambda called: ChunkedBody(io.BytesIO(chunked([b"abc"])), lambda: called.append(1)),
    ):
        called: list[int] = []
        body = make(called)
        assert (called, body.exhausted) == ([], False)
        assert body.read(2) + body.read(2) == b"abc"
        assert body.read(2) == b""
        assert (called, body.exhausted) == ([1], True)


def test_a_sized_body_ends_at_its_length() -> None:
    source = io.BytesIO(b"abc" + NEXT)
    assert SizedBody(source, 3, nothing).read() == b"abc"
    assert source.read() == NEXT
    assert SizedBody(io.BytesIO(b""), 0, nothing).exhausted
