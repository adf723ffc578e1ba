"""A TCP proxy between a client and the front that spoils chosen connections, and counts.

A connection is named by its number, the first is 0; what a toxic does not name stays as it is.
"""

from __future__ import annotations

import select
import socket
import struct
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from random import Random
from types import TracebackType
from typing import Self
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
    window: int = 0  # the receive buffer towards the front in bytes; 0: the system's
    buffers: bool = False  # takes the whole answer, as a reverse proxy does, and then spoils it
    slow_close: float = 0.0  # seconds before the front's end of a connection reaches the client


CLEAN = Toxic()


class FaultProxy:
    """Listens on loopback while the block lasts; `seed` sets the sizes of pieces and delays.

    `requests` are the POSTs that clients sent, `spoilt` the connections whose end was played,
    `answered` the bytes of answers that passed, by connection.
    """

    def __init__(self, url: str, toxics: Mapping[int, Toxic] | None = None, seed: int = 0) -> None:
        target = urlsplit(url)
        self._target = (target.hostname or "", target.port or 80)
        self._toxics = toxics or {}
        self._random = Random(seed)  # noqa: S311 -- reproducible, not secret
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
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
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            number = len(self._threads)
            thread = threading.Thread(target=self._connection, args=(number, client))
            self._threads.append(thread)
            thread.start()

    def _connection(self, number: int, client: socket.socket) -> None:
        toxic = self._toxics.get(number, CLEAN)
        with client, socket.socket() as front:
            if toxic.window:
                front.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, toxic.window)
            with suppress(OSError):
                front.connect(self._target)
                if self._carry(number, toxic, client, front):
                    self.spoilt.append(number)
                    self._spoil(toxic, client, front)
                else:
                    self._stopped.wait(toxic.slow_close)

    def _carry(
        self, number: int, toxic: Toxic, client: socket.socket, front: socket.socket
    ) -> bool:
        """Pass bytes both ways; tell whether a place of the toxic was reached."""
        asked, until, tail = 0, float("inf"), b""
        self.answered[number] = 0
        while not self._stopped.is_set():
            ready = select.select([client, front], [], [], TICK)[0]
            if time.monotonic() >= until:
                return True
            if client in ready:
                data = client.recv(PIECE)
                if not data:
                    return False
                if not asked and toxic.after is not None:
                    until = time.monotonic() + toxic.after
                seen = tail + data
                self.requests += seen.count(b"POST /v1/")
                tail = seen[-8:]  # one byte less than what is looked for
                passing = data[: _room(toxic.request_at, asked)]
                front.sendall(passing)
                asked += len(passing)
                if len(passing) < len(data):
                    return True
            if front in ready:
                room = _room(toxic.answer_at, self.answered[number])
                if room == 0:
                    return True
                data = front.recv(room)
                if not data:
                    return False
                self._pace(toxic, len(data))
                client.sendall(data)
                self.answered[number] += len(data)
        return False

    def _pace(self, toxic: Toxic, size: int) -> None:
        seconds = toxic.latency * (1 + self._random.random())
        if toxic.bandwidth:
            seconds += size / toxic.bandwidth
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
