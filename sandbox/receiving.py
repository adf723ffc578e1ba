"""Reading a request's body from a connection: by length or in chunks (RFC 9112)."""

from __future__ import annotations

from collections.abc import Mapping
from io import BufferedIOBase

MOST_BYTES = 400_000_000


class BodyError(ValueError):
    """A body that is malformed, cut short or too large."""


def body(stream: BufferedIOBase, headers: Mapping[str, str]) -> bytes:
    """Return the whole body, b"" where the headers announce none; raises `BodyError`."""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return _chunked(stream)
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()) or int(length) > MOST_BYTES:
        raise BodyError("a bad Content-Length")
    return _exactly(stream, int(length))


def _chunked(stream: BufferedIOBase) -> bytes:
    chunks: list[bytes] = []
    total = 0
    while size := _size(stream.readline(1024)):
        total += size
        if total > MOST_BYTES:
            raise BodyError("too large")
        chunks.append(_exactly(stream, size))
        if _exactly(stream, 2) != b"\r\n":
            raise BodyError("a chunk without its end")
    while stream.readline(8192).strip():
        pass  # trailers, which nobody needs
    return b"".join(chunks)


def _size(line: bytes) -> int:
    try:
        return int(line.partition(b";")[0].strip(), 16)
    except ValueError:
        raise BodyError("a bad chunk size") from None


def _exactly(stream: BufferedIOBase, count: int) -> bytes:
    data = stream.read(count)
    if len(data) != count:
        raise BodyError("cut short")
    return data
