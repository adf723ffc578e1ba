"""The load: the same bytes again and again over kept connections, with as little work as can be.

One thread with a selector: what it costs, every gateway's edits pay alike.
"""

from __future__ import annotations

import selectors
import socket
import time
from dataclasses import dataclass, field

SCRATCH = memoryview(bytearray(1 << 20))
LAST_CHUNK = b"\r\n0\r\n\r\n"
MOST_HEAD = 1 << 16


@dataclass(frozen=True, slots=True)
class Edit:
    """One edit: `status` (0: no whole answer), seconds it took, bytes of body, when it ended."""

    status: int
    seconds: float
    size: int
    ended: float
    why: str = ""


@dataclass
class Load:
    """What a load came to; `seconds` from the first byte sent to the last received."""

    edits: list[Edit] = field(default_factory=list)
    began: float = 0.0
    seconds: float = 0.0

    def good(self, least: int) -> list[Edit]:
        """Return the edits that ended well, with at least `least` bytes of body."""
        return [edit for edit in self.edits if edit.status == 200 and edit.size >= least]


class Caller:
    """One edit after the other over one connection."""

    def __init__(self, selector: selectors.BaseSelector, address: tuple[str, int]) -> None:
        self._selector, self._address = selector, address
        self._socket: socket.socket | None = None
        self.busy = False

    def begin(self, request: memoryview) -> Edit | None:
        """Send a request; return an edit only where that fails at once."""
        self.busy = True
        self._began = time.monotonic()
        self._to_send, self._head = request, bytearray()
        self._status, self._size, self._left, self._tail = 0, 0, -1, b""
        self._closes = False
        both = selectors.EVENT_READ | selectors.EVENT_WRITE
        try:
            if self._socket is None:
                self._socket = socket.socket()
                self._socket.setblocking(False)
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._selector.register(self._socket, both, self)
                self._socket.connect(self._address)
            else:
                self._selector.modify(self._socket, both, self)
        except BlockingIOError:
            return None  # it connects
        except OSError as error:
            return self.end(str(error))
        return None

    def go_on(self, events: int) -> Edit | None:
        """Send and receive what can be; return the edit when it ended."""
        try:
            if events & selectors.EVENT_WRITE and self._to_send:
                self._send()
            if events & selectors.EVENT_READ and self._receive():
                return self.end()
        except BlockingIOError:
            return None
        except OSError as error:
            return self.end(str(error) or type(error).__name__)
        return None

    def end(self, why: str = "") -> Edit:
        """End the edit under way, badly where `why` says so."""
        now = time.monotonic()
        status = 0 if why else self._status
        if (why or self._closes) and self._socket is not None:
            self.close()
        self.busy = False
        return Edit(status, now - self._began, self._size, now, why)

    def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._selector.unregister(self._socket)
            self._socket.close()
            self._socket = None

    def _send(self) -> None:
        assert self._socket is not None  # noqa: S101 -- there is one while an edit is under way
        self._to_send = self._to_send[self._socket.send(self._to_send) :]
        if not self._to_send:
            self._selector.modify(self._socket, selectors.EVENT_READ, self)

    def _receive(self) -> bool:
        """Take what came; tell whether the answer is whole."""
        assert self._socket is not None  # noqa: S101 -- as above
        count = self._socket.recv_into(SCRATCH)
        if not count:
            raise ConnectionError("closed before the end")
        piece = SCRATCH[:count]
        if not self._status:
            self._head += piece
            end = self._head.find(b"\r\n\r\n")
            if end < 0 or len(self._head) > MOST_HEAD + len(SCRATCH):
                return False
            self._read_head(bytes(self._head[:end]))
            piece = memoryview(bytes(self._head[end + 4 :]))
        self._size += len(piece)
        if self._left >= 0:
            return self._size >= self._left
        self._tail = (self._tail + bytes(piece[-len(LAST_CHUNK) :]))[-len(LAST_CHUNK) :]
        return self._tail == LAST_CHUNK  # JSON has no such bytes

    def _read_head(self, head: bytes) -> None:
        first, *lines = head.lower().split(b"\r\n")
        self._status = int(first.split()[1])
        fields = {
            name: value.strip() for name, _, value in (line.partition(b":") for line in lines)
        }
        self._left = int(fields.get(b"content-length", b"-1"))
        self._closes = fields.get(b"connection") == b"close"


def run(
    address: tuple[str, int],
    request: bytes,
    *,
    at_once: int,
    least: int,
    seconds: float = 0.0,
    ramp: float = 0.0,
    patience: float = 60.0,
) -> Load:
    """Keep `at_once` edits under way; begin none after `seconds`, but `least` in all.

    With `ramp` the first of each caller are spread over so many seconds. What has not ended
    `patience` seconds after the start counts as failed.
    """
    selector = selectors.DefaultSelector()
    callers = [Caller(selector, address) for _ in range(at_once)]
    load, view = Load(began=time.monotonic()), memoryview(request)
    waiting, begun, under_way = list(reversed(callers)), 0, 0

    def note(edit: Edit, caller: Caller) -> None:
        nonlocal under_way
        load.edits.append(edit)
        under_way -= 1
        waiting.append(caller)

    try:
        while True:
            now = time.monotonic() - load.began
            due = at_once if not ramp else min(at_once, int(now / ramp * at_once) + 1)
            while (
                waiting and (begun < least or now < seconds) and (begun < due or begun >= at_once)
            ):
                caller = waiting.pop()
                begun += 1
                under_way += 1
                if failed := caller.begin(view):
                    note(failed, caller)
            if not under_way and begun >= least and now >= seconds:
                break
            if now > patience:
                for caller in callers:
                    if caller.busy:
                        note(caller.end("no answer in time"), caller)
                break
            for key, events in selector.select(0.01 if begun < at_once else 1.0):
                if edit := key.data.go_on(events):
                    note(edit, key.data)
    finally:
        for caller in callers:
            caller.close()
        selector.close()
    load.seconds = max((edit.ended for edit in load.edits), default=load.began) - load.began
    return load
