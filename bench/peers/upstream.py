"""`python -m bench.peers.upstream`: stands in for OpenAI, as fast as Python can.

Prints its port. Reads each edit to its end without looking at it, and answers what it was told to,
after the delay that it was told. One process, one thread: it must cost less than what it measures.

`PUT` (its body; the header `X-Delay`, seconds) sets the answer and forgets what was counted;
`GET` says what was counted.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from dataclasses import asdict, dataclass

SCRATCH = 1 << 20
MOST_HEAD = 1 << 16
LAST_CHUNK = b"\r\n0\r\n\r\n"


@dataclass
class Told:
    """What came since the answer was set; times on the monotonic clock of the machine.

    `smallest` is the shortest body of an edit in bytes, framing included.
    """

    edits: int = 0
    held: int = 0
    most_held: int = 0
    smallest: int = 0
    first_answer: float = 0.0
    last_answer: float = 0.0


class Upstream:
    """The answer, and what was counted."""

    def __init__(self) -> None:
        self.told = Told()
        self.delay = 0.0
        self.scratch = memoryview(bytearray(SCRATCH))
        self._answer = _message(b"{}")

    def set(self, body: bytes, delay: float) -> None:
        """Answer `body` from now on, `delay` seconds after a request has ended."""
        self._answer, self.delay, self.told = _message(body), delay, Told()

    def came(self, size: int) -> None:
        """Count an edit whose body has come."""
        told = self.told
        told.edits += 1
        told.held += 1
        told.most_held = max(told.most_held, told.held)
        told.smallest = min(told.smallest or size, size)

    def answer(self) -> bytes:
        """Count an edit as answered; return the whole message."""
        told = self.told
        told.held -= 1
        told.last_answer = time.monotonic()
        told.first_answer = told.first_answer or told.last_answer
        return self._answer


class Connection(asyncio.BufferedProtocol):
    """A connection, one request after the other."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._head = bytearray()
        self._left: int | None = None  # bytes of the body to come; `None`: chunked
        self._size = 0
        self._tail = b""
        self._kept = bytearray()  # bodies that are looked at
        self._in_body = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to write."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 -- what TCP servers give
        self._transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:
        """Have it read into memory that all connections share."""
        return self._upstream.scratch

    def buffer_updated(self, nbytes: int) -> None:
        """Take what came."""
        piece = self._upstream.scratch[:nbytes]
        if self._in_body:
            self._take(piece)
            return
        self._head += piece
        end = self._head.find(b"\r\n\r\n")
        if end < 0:
            if len(self._head) > MOST_HEAD:
                self._transport.abort()
            return
        words = bytes(self._head[:end]).split(b"\r\n")
        rest = memoryview(bytes(self._head[end + 4 :]))
        self._head.clear()
        self._method, self._path = words[0].split(b" ")[:2]
        fields = (word.partition(b":") for word in words[1:])
        self._fields = {name.strip().lower(): value.strip() for name, _, value in fields}
        chunked = b"chunked" in self._fields.get(b"transfer-encoding", b"").lower()
        self._left = None if chunked else int(self._fields.get(b"content-length", b"0"))
        if self._fields.get(b"expect"):
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._in_body, self._size, self._tail = True, 0, b""
        self._take(rest)

    def _take(self, piece: memoryview) -> None:
        self._size += len(piece)
        if self._method == b"PUT":
            self._kept += piece
        if self._left is None:
            # A picture has these seven bytes at the end of a read once in 10^17 times.
            self._tail = (self._tail + bytes(piece[-len(LAST_CHUNK) :]))[-len(LAST_CHUNK) :]
            ended = self._tail == LAST_CHUNK
        else:
            ended = self._size >= self._left
        if ended:
            self._in_body = False
            self._request()

    def _request(self) -> None:
        upstream = self._upstream
        if self._method == b"POST":
            upstream.came(self._size)
            if upstream.delay:
                loop = asyncio.get_running_loop()
                loop.call_later(upstream.delay, self._answer)
            else:
                self._answer()
        elif self._method == b"PUT":
            upstream.set(bytes(self._kept), float(self._fields.get(b"x-delay", b"0")))
            self._kept.clear()
            self._transport.write(_message(b"{}"))
        else:
            self._transport.write(_message(json.dumps(asdict(upstream.told)).encode()))

    def _answer(self) -> None:
        answer = self._upstream.answer()
        if not self._transport.is_closing():
            self._transport.write(answer)


def _message(body: bytes) -> bytes:
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def serve() -> None:
    """Serve until SIGTERM."""
    loop = asyncio.get_running_loop()
    upstream, ended = Upstream(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    server = await loop.create_server(lambda: Connection(upstream), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await ended.wait()


if __name__ == "__main__":
    sys.exit(asyncio.run(serve()))
