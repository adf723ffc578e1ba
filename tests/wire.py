"""Raw HTTP over one socket, for what no client library would send."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from tests.front_running import form

EDITS = "/v1/images/edits"


@dataclass(frozen=True)
class Answer:
    """An answer as it came."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> dict[str, Any]:
        """The error it tells; checks the shape."""
        error: dict[str, Any] = json.loads(self.body)["error"]
        assert set(error) == {"message", "type", "param", "code"}
        return error


def edit(key: str | None = "sk-test", more: str = "", **fields: Any) -> bytes:
    """Return a whole edit; `more` are header lines, each with its end."""
    sent = form(**fields)
    authorization = f"Authorization: Bearer {key}\r\n" if key else ""
    head = (
        f"POST {EDITS} HTTP/1.1\r\nHost: x\r\n{authorization}{more}"
        f"Content-Type: {sent['content_type']}\r\nContent-Length: {len(sent['data'])}\r\n\r\n"
    )
    return head.encode() + sent["data"]


def get(path: str = "/healthz") -> bytes:
    """Return a whole question."""
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


@contextmanager
def client(address: tuple[str, int], timeout: float = 10.0) -> Iterator[socket.socket]:
    """Yield a connection."""
    with socket.create_connection(address, timeout=timeout) as connection:
        yield connection


def to_end(connection: socket.socket) -> bytes:
    """Return all that comes until the server ends; a reset ends it, too."""
    got = []
    with suppress(ConnectionResetError):
        while piece := connection.recv(65_536):
            got.append(piece)
    return b"".join(got)


def answers(data: bytes) -> list[Answer]:
    """Return the answers that `data` holds, each with its Content-Length."""
    found = []
    while data:
        head, _, data = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        status = int(first.split()[1])
        headers = dict(line.lower().split(": ", 1) for line in lines)
        length = int(headers.get("content-length", 0))
        if status != 100:
            found.append(Answer(status, headers, data[:length]))
        data = data[length:]
    return found


def ask(address: tuple[str, int], sent: bytes, timeout: float = 10.0) -> Answer:
    """Send one request and return its answer, on a connection of its own."""
    with client(address, timeout) as connection:
        connection.sendall(sent)
        got = b""
        while not _whole(got):
            piece = connection.recv(65_536)
            assert piece, got
            got += piece
    return answers(got)[-1]


def _whole(got: bytes) -> bool:
    head, found, body = got.rpartition(b"\r\n\r\n")
    length = next(
        (
            int(line.split(b":")[1])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length:")
        ),
        0,
    )
    return bool(found) and len(body) >= length and b" 100 Continue" not in head[-30:]
