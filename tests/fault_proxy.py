"""A TCP proxy between two neighbours that spoils chosen connections, and counts.

Between a client and the front, the front and the service (gRPC), or the service and an upstream:
whoever connects is the client here, and what it reaches the front. A connection is named by its
number, the first is 0; what a toxic does not name stays as it is.
"""

from __future__ import annotations

import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from random import Random
from types import TracebackType
from typing import NamedTuple, Self
from urllib.parse import urlsplit

PIECE = 65_536
TICK = 0.02
_NO_LINGER = struct.pack("ii", 1, 0)


class End(Enum):
    """How a connection is spoilt for its client."""

    CLOSE = "closed in order (FIN)"
    RESET = "reset (RST)"
    HANG = "left open, half of it dead: nothing comes any more"


@dataclass(frozen=True)
class Toxic:
    """What is done to one connection. `end` is played at the first of the places that are given.

    `answer_at` and `request_at` are bytes that still pass (0: none; the answer's first byte is
    waited for), `after` seconds since the request's first byte.
    """

    end: End = End.CLOSE
    answer_at: int | None = None
    request_at: int | None = None
    after: float | None = None
    latency: float = 0.0  # seconds before each piece of the answer, and up to as many again
    bandwidth: int = 0  # bytes of the answer a second; 0: as many as there are
    request_latency: float = 0.0  # the same for the request
    request_bandwidth: int = 0
    slices: int = 0  # both ways, pieces of up to so many bytes; 0: as they come
    window: int = 0  # the receive buffer towards the front in bytes; 0: the system's
    buffers: bool = False  # takes the whole answer, as a reverse proxy does, and then spoils it
    slow_close: float = 0.0  # seconds before the front's end of a connection reaches the client


CLEAN = Toxic()
Choice = Callable[[int], Toxic]
"""What is done to the connection of a number."""


class Pace(NamedTuple):
    """How fast one direction is: see `Toxic`."""

    latency: float
    bandwidth: int


class FaultProxy:
    """Listens on loopback while the block lasts; `seed` sets the sizes of pieces and delays.

    `connections` counts what was accepted, `requests` are the POSTs that clients sent, `spoilt` the
    connections whose end was played, `answered` the bytes of answers that passed, by connection.
    """

    def __init__(
        self, url: str, toxics: Mapping[int, Toxic] | Choice | None = None, seed: int = 0
    ) -> None:
        target = urlsplit(url)
        self._target = (target.hostname or "", target.port or 80)
        rows = toxics or {}
        self._choose = rows if callable(rows) else lambda number: rows.get(number, CLEAN)
        self._random = Random(seed)  # noqa: S311 -- reproducible, not secret
        self._stopped = threading.Event()
        self._down = False
        self._threads: list[threading.Thread] = []
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.url = f"http://{self.address}"
        self.connections = 0
        self.requests = 0
        self.spoilt: list[int] = []
        self.answered: dict[int, int] = {}

    def __enter__(self) -> Self:
        self._accepting = threading.Thread(target=self._accept, name="fault proxy")
        self._accepting.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self.cut()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def cut(self) -> None:
        """Reset every connection that is open now."""
        for sock in list(self._open):
            with suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
                sock.shutdown(socket.SHUT_RDWR)

    @contextmanager
    def down(self) -> Iterator[None]:
        """Be down while the block lasts: what is open is cut, and who connects is reset."""
        self._down = True
        self.cut()
        try:
            yield
        finally:
            self._down = False

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._down:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
                client.close()
                continue
            thread = threading.Thread(target=self._connection, args=(self.connections, client))
            self.connections += 1
            self._threads = [one for one in self._threads if one.is_alive()]
            self._threads.append(thread)
            thread.start()

    def _connection(self, number: int, client: socket.socket) -> None:
        toxic = self._choose(number)
        with client, socket.socket() as front, self._listed(client, front):
            if toxic.window:
                front.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, toxic.window)
            with suppress(OSError):
                front.connect(self._target)
                if self._carry(number, toxic, client, front):
                    self.spoilt.append(number)
                    self._spoil(toxic, client, front)
                else:
                    self._stopped.wait(toxic.slow_close)

    @contextmanager
    def _listed(self, *pair: socket.socket) -> Iterator[None]:
        self._open.update(pair)
        try:
            yield
        finally:
            self._open.difference_update(pair)

    def _carry(
        self, number: int, toxic: Toxic, client: socket.socket, front: socket.socket
    ) -> bool:
        """Pass bytes both ways; tell whether a place of the toxic was reached."""
        asked, until, tail = 0, float("inf"), b""
        self.answered[number] = 0
        to, back = (
            Pace(toxic.request_latency, toxic.request_bandwidth),
            Pace(toxic.latency, toxic.bandwidth),
        )
        while not self._stopped.is_set():
            ready = select.select([client, front], [], [], TICK)[0]
            if time.monotonic() >= until:
                return True
            if client in ready:
                data = client.recv(self._size(toxic))
                if not data:
                    return False
                if not asked and toxic.after is not None:
                    until = time.monotonic() + toxic.after
                seen = tail + data
                self.requests += seen.count(b"POST /v1/")
                tail = seen[-8:]  # one byte less than what is looked for
                passing = data[: _room(toxic.request_at, asked)]
                self._wait(to, len(passing))
                front.sendall(passing)
                asked += len(passing)
                if len(passing) < len(data):
                    return True
            if front in ready:
                room = _room(toxic.answer_at, self.answered[number])
                if room == 0:
                    return True
                data = front.recv(min(room, self._size(toxic)))
                if not data:
                    return False
                self._wait(back, len(data))
                # Before it is sent: who has the answer may ask at once how long it was.
                self.answered[number] += len(data)
                client.sendall(data)
        return False

    def _size(self, toxic: Toxic) -> int:
        return self._random.randint(1, toxic.slices) if toxic.slices else PIECE

    def _wait(self, pace: Pace, size: int) -> None:
        seconds = pace.latency * (1 + self._random.random())
        if pace.bandwidth:
            seconds += size / pace.bandwidth
        if seconds:
            self._stopped.wait(seconds)

    def _spoil(self, toxic: Toxic, client: socket.socket, front: socket.socket) -> None:
        if toxic.buffers:
            front.settimeout(1.0)
            with suppress(TimeoutError):  # a connection that is kept has no end
                while front.recv(PIECE):
                    front.settimeout(0.2)
        if toxic.end is End.HANG:
            while not self._stopped.is_set():  # until the client gives up
                if select.select([client], [], [], TICK)[0] and not client.recv(PIECE):
                    return
        if toxic.end is End.RESET:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)


def _room(place: int | None, passed: int) -> int:
    """Return how many bytes may pass now: never one beyond `place`."""
    return PIECE if place is None else min(PIECE, place - passed)
