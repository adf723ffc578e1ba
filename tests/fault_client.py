"""A client with faults of its own: it drips, stalls, hangs up in mid-sentence, or never listens."""

from __future__ import annotations

import socket
import struct
import time
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from random import Random
from urllib.parse import urlsplit

_NO_LINGER = struct.pack("ii", 1, 0)
_PIECE = 65_536
_WINDOW = 4096


class Leave(Enum):
    """How the client ends."""

    CLOSE = "closes in order (FIN), having read what came"
    RESET = "resets (RST), having read nothing"
    HALF = "says that it sent all (FIN of its half), and listens on"
    STALL = "says nothing more, and keeps the connection"


@dataclass(frozen=True)
class Manners:
    """What a client does with its request. `stop_at` is the byte after which it plays `leave`.

    `None` sends all and then reads the answer to its end, at most `listens` seconds long.
    """

    stop_at: int | None = None
    leave: Leave = Leave.CLOSE
    pieces: int = 0  # bytes sent at a time, and up to as many again; 0: as many as there are
    pause: float = 0.0  # seconds after each piece
    stall_at: int | None = None  # one pause of `stall` seconds after this byte
    stall: float = 0.0
    deaf: bool = False  # never reads; the system's buffer is made small
    listens: float = 10.0


@dataclass(frozen=True)
class Heard:
    """What came of it: bytes sent, the answer's raw bytes, whether the server ended it."""

    sent: int
    answer: bytes
    ended: bool

    @property
    def status(self) -> int | None:
        """The answer's HTTP status, `None` where none came."""
        words = self.answer.split(b" ", 2)
        return int(words[1]) if self.answer.startswith(b"HTTP/1.1 ") else None


def ask(url: str, request: bytes, manners: Manners, seed: int = 0) -> Heard:
    """Send `request`, a whole HTTP/1.1 message, in the given manners; return what came of it."""
    target = urlsplit(url)
    dice = Random(seed)  # noqa: S311 -- reproducible, not secret
    with socket.socket() as wire:
        if manners.deaf:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _WINDOW)
        wire.settimeout(manners.listens)
        wire.connect((target.hostname, target.port))
        end = len(request) if manners.stop_at is None else manners.stop_at
        sent = _say(wire, request[:end], manners, dice)
        if manners.stop_at is not None and manners.leave is Leave.HALF:
            with suppress(OSError):
                wire.shutdown(socket.SHUT_WR)
        if manners.stop_at is not None and manners.leave is Leave.RESET:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            return Heard(sent, b"", ended=False)
        if manners.deaf:
            time.sleep(manners.listens)
            return Heard(sent, b"", ended=False)
        closes = manners.stop_at is not None and manners.leave is Leave.CLOSE
        return _hear(wire, sent, 0.05 if closes else manners.listens)


def _say(wire: socket.socket, request: bytes, manners: Manners, dice: Random) -> int:
    """Send the request and return how many bytes of it were taken."""
    sent, stalled = 0, manners.stall_at is None
    while sent < len(request):
        size = manners.pieces + dice.randint(0, manners.pieces) if manners.pieces else _PIECE
        if not stalled:
            assert manners.stall_at is not None
            size = min(size, manners.stall_at - sent)
        try:
            sent += wire.send(request[sent : sent + size])
        except OSError:  # the server has had enough
            return sent
        if not stalled and sent == manners.stall_at:
            stalled = True
            time.sleep(manners.stall)
        time.sleep(manners.pause)
    return sent


def _hear(wire: socket.socket, sent: int, seconds: float) -> Heard:
    """Read until the answer is whole, the server ends, or `seconds` have passed."""
    answer, until = bytearray(), time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        wire.settimeout(left)
        try:
            piece = wire.recv(_PIECE)
        except TimeoutError:
            break
        except OSError:
            return Heard(sent, bytes(answer), ended=True)
        if not piece:
            return Heard(sent, bytes(answer), ended=True)
        answer += piece
        if _is_whole(answer):
            break
    return Heard(sent, bytes(answer), ended=False)


def _is_whole(answer: bytearray) -> bool:
    head, gap, body = bytes(answer).partition(b"\r\n\r\n")
    lengths = [
        int(line.partition(b":")[2])
        for line in head.lower().split(b"\r\n")
        if line.startswith(b"content-length:")
    ]
    return bool(gap) and bool(lengths) and len(body) >= lengths[0]
