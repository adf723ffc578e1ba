"""Putting a reply on a socket, whole or with a fault, and noticing a client that left."""

from __future__ import annotations

import select
import socket
import struct
import time
from http import HTTPStatus

from sandbox.wire import Reply

MEGABYTE = 1_000_000


class HungUp(Exception):
    """The client closed the connection before it was answered."""


def wait(connection: socket.socket, seconds: float | None) -> None:
    """Wait for `seconds`, `None` for ever; raises `HungUp` as soon as the client leaves."""
    readable = select.poll()
    readable.register(connection, select.POLLIN)
    if not readable.poll(None if seconds is None else round(seconds * 1000)):
        return
    try:
        left = connection.recv(1, socket.MSG_PEEK) == b""
    except OSError:
        left = True
    if left:
        raise HungUp


def send(connection: socket.socket, reply: Reply) -> bool:
    """Send `reply` in its manner; return whether the connection can be used again.

    Raises `OSError` and `HungUp` when the client leaves.
    """
    match reply.manner:
        case "" if reply.content_type == "text/event-stream":
            _send_events(connection, reply)
            return True
        case "":
            connection.sendall(_head(reply, len(reply.body)) + reply.body)
            return True
        case "silent":
            wait(connection, None)
        case "reset":
            linger = struct.pack("ii", 1, 0)  # on, 0 seconds: closing sends RST instead of FIN
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            connection.close()
        case "drip_headers":
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            while True:
                connection.sendall(b"x-drip: 1\r\n")
                wait(connection, 1 / reply.amount)
        case "drip_body":
            connection.sendall(_head(reply, len(reply.body)))
            for byte in reply.body:
                connection.sendall(bytes([byte]))
                wait(connection, 1 / reply.amount)
        case "cut":
            head = _head(reply, len(reply.body))
            connection.sendall(head + reply.body[: int(reply.amount)])
        case "hugebody":
            _send_huge(connection, reply)
        case _:  # "close": the caller does it
            pass
    return False


def _send_events(connection: socket.socket, reply: Reply) -> None:
    """Send each event in a chunk of its own, as they would come one after the other."""
    connection.sendall(_head(reply, None))
    for number, event in enumerate(reply.body.split(b"\n\n")[:-1]):
        if number and reply.gap:
            wait(connection, reply.gap)
        connection.sendall(b"%x\r\n%s\n\n\r\n" % (len(event) + 2, event))
    connection.sendall(b"0\r\n\r\n")


def _send_huge(connection: socket.socket, reply: Reply) -> None:
    """Send megabytes that only end when all are sent: one JSON string, as if in base64."""
    opening, block = b'{"data": [{"b64_json": "', b"A" * MEGABYTE
    count = int(reply.amount)
    connection.sendall(_head(reply, len(opening) + count * MEGABYTE) + opening)
    for _ in range(count):
        connection.sendall(block)


def _head(reply: Reply, length: int | None) -> bytes:
    """Return the status line and headers of a body of `length` bytes, `None` for one in chunks."""
    lines = [
        f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}",
        f"date: {time.strftime('%a, %d %b %Y %H:%M:%S GMT', time.gmtime())}",
        "server: sandbox",
        f"content-type: {reply.content_type}",
        "transfer-encoding: chunked" if length is None else f"content-length: {length}",
        *(f"{name}: {value}" for name, value in reply.headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
