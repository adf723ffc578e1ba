"""One thread that waits for many sockets, so that no client needs a thread to be waited for."""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
_SCAN = 0.05
"""Seconds between two looks at all deadlines."""


@dataclass(frozen=True, slots=True)
class _Alarm:
    until: float
    act: Callable[[], None]


@dataclass(frozen=True, slots=True)
class _Watch:
    connection: socket.socket
    event: int
    act: Callable[[], None]


class Poller:
    """Calls back when a socket is ready or a deadline has passed; callbacks must not block.

    `run` is the thread. `call` and `watch` may be used by any, the rest only on it, or before it
    runs. `report` gets what a callback raises, which is a bug, and must not end the others'
    waiting.
    """

    def __init__(
        self, report: Callable[[Exception], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.now = clock
        self._report = report
        self._selector = selectors.DefaultSelector()
        self._acts: dict[socket.socket, _Watch] = {}
        self._alarms: dict[object, _Alarm] = {}
        self._earliest = float("inf")
        self._calls: deque[Callable[[], None]] = deque()
        self._running = True
        self._thread: int | None = None
        self._waker, self._woken = socket.socketpair()
        self._waker.setblocking(False)
        self._woken.setblocking(False)
        self.watch(self._woken, READ, self._wake)

    def call(self, act: Callable[[], None]) -> None:
        """Let the thread do `act` soon, in the order of the calls."""
        self._calls.append(act)
        if threading.get_ident() != self._thread:
            with suppress(OSError):  # full: it wakes anyway; closed: nobody is left
                self._waker.send(b"\0")

    def watch(self, connection: socket.socket, event: int, act: Callable[[], None]) -> None:
        """Do `act` whenever `connection` is ready for READ (or broke) or WRITE, until forgotten."""
        before = self._acts.get(connection)
        self._acts[connection] = _Watch(connection, event, act)
        if before is None:
            self._selector.register(connection, event, connection)
        elif before.event != event:
            self._selector.modify(connection, event, connection)

    def alarm(self, key: object, until: float, act: Callable[[], None]) -> None:
        """Do `act` once at `until`, unless `key` is forgotten or gets another alarm."""
        self._alarms[key] = _Alarm(until, act)
        self._earliest = min(self._earliest, until)

    def forget(self, key: object) -> None:
        """End what is watched or timed under `key`; nothing if there is none."""
        self._alarms.pop(key, None)
        if isinstance(key, socket.socket) and self._acts.pop(key, None) is not None:
            self._selector.unregister(key)

    def end(self) -> None:
        """Let `run` return."""
        self._running = False

    def run(self) -> None:
        """Wait and call until `end`."""
        self._thread = threading.get_ident()
        while self._running:
            self._once()
        self._selector.close()
        self._waker.close()
        self._woken.close()

    def _once(self) -> None:
        wait = None if self._earliest == float("inf") else max(0.0, self._earliest - self.now())
        ready = [self._acts.get(key.data) for key, _ in self._selector.select(wait)]
        for known in ready:
            # Not what one before it has ended or changed.
            if known is not None and self._acts.get(known.connection) is known:
                self._do(known.act)
        for _ in range(len(self._calls)):
            self._do(self._calls.popleft())
        if self.now() >= self._earliest:
            self._ring()

    def _ring(self) -> None:
        now = self.now()
        for key, alarm in [pair for pair in self._alarms.items() if pair[1].until <= now]:
            if self._alarms.get(key) is alarm:
                del self._alarms[key]
                self._do(alarm.act)
        earliest = min((alarm.until for alarm in self._alarms.values()), default=float("inf"))
        self._earliest = max(earliest, now + _SCAN)

    def _do(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as error:  # noqa: BLE001 - whatever it is, the others are still waited for
            self._report(error)

    def _wake(self) -> None:
        with suppress(BlockingIOError):
            self._woken.recv(4_096)
