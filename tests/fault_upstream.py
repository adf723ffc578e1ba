"""A raw-socket upstream that plays one fault on every connection, byte for byte."""

from __future__ import annotations

import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from server.providers.base import Call
from server.upstream.session import Endpoint

KEY = "sk-canary-0123456789abcdef"
BODY = "a-body-canary"
CALL = Call("/images/edits", json={"prompt": BODY})
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def endpoint(origin: str) -> Endpoint:
    """Return the vendor at `origin`, with the canary for a key."""
    return Endpoint("vendor", f"{origin}/v1", KEY)


@dataclass(frozen=True)
class Received:
    """A request as it came: first line, headers with lower-case names in order, body."""

    line: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        values = [value for key, value in self.headers if key == name]
        assert len(values) < 2, f"{name} came {len(values)} times"
        return values[0] if values else None


class Connection:
    """One accepted connection, in the hands of a behaviour."""

    def __init__(self, sock: socket.socket, stopped: threading.Event) -> None:
        self.sock = sock
        self.stopped = stopped

    def peek(self, size: int) -> bytes:
        """Return the next bytes and leave them for `read_request`; not inside TLS."""
        return self.sock.recv(size, socket.MSG_PEEK | socket.MSG_WAITALL)

    def read_head(self) -> bytes:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = self.sock.recv(1)
            if not byte:
                raise ConnectionError
            head += byte
        return head

    def read_request(self) -> Received:
        first, *lines = self.read_head().decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        pairs = [line.split(": ", 1) for line in lines]
        headers = [(name.lower(), value) for name, value in pairs]
        length = int(dict(headers).get("content-length", "0"))
        body = bytearray()
        while len(body) < length:
            piece = self.sock.recv(1 << 16)
            if not piece:
                raise ConnectionError
            body += piece
        return Received(first, headers, bytes(body))

    def write(self, data: bytes) -> None:
        self.sock.sendall(data)

    def drip(self, data: bytes, every: float = 0.1) -> None:
        """Send a byte each `every` seconds."""
        for index in range(len(data)):
            self.write(data[index : index + 1])
            if self.stopped.wait(every):
                return

    def hang(self) -> None:
        """Do nothing until the peer or the test goes away."""
        while self.sock.recv(1 << 16):
            pass

    def reset(self) -> None:
        """Close with RST instead of FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


Behaviour = Callable[["FaultUpstream", Connection], None]


class FaultUpstream:
    """Listens on loopback while the block lasts; `behave` gets every connection.

    `requests` are those a behaviour kept with `read`, `connections` counts what was accepted,
    `names` are the TLS server names asked for.
    """

    def __init__(self, behave: Behaviour, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Received] = []
        self.connections = 0
        self.names: list[str | None] = []
        self.reached = threading.Event()
        self._behave = behave
        self._tls = tls
        if tls is not None:
            tls.sni_callback = lambda _socket, name, _context: self.names.append(name)
        self._stopped = threading.Event()
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]

    @property
    def origin(self) -> str:
        return f"{'http' if self._tls is None else 'https'}://127.0.0.1:{self.port}"

    def read(self, connection: Connection) -> Received:
        request = connection.read_request()
        self.requests.append(request)
        self.reached.set()
        return request

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        for sock in self._open:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join()
        self._listener.close()

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(sock)
            self._start(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        with suppress(OSError), sock:
            if self._tls is None:
                self._behave(self, Connection(sock, self._stopped))
            else:
                with self._tls.wrap_socket(sock, server_side=True) as secured:
                    self._open.append(secured)
                    self._behave(self, Connection(secured, self._stopped))


def silent(_: FaultUpstream, connection: Connection) -> None:
    """Accept, read nothing, say nothing."""
    connection.stopped.wait()


def deaf(upstream: FaultUpstream, connection: Connection) -> None:
    """Read the whole request and never answer."""
    upstream.read(connection)
    connection.hang()


def answering(*pieces: bytes, then: Callable[[Connection], None] | None = None) -> Behaviour:
    """Read the request, send `pieces`, then close, or do `then`."""

    def behave(upstream: FaultUpstream, connection: Connection) -> None:
        upstream.read(connection)
        for piece in pieces:
            connection.write(piece)
        if then is not None:
            then(connection)

    return behave


def dripping(head: bytes, drip: bytes) -> Behaviour:
    """Read the request, send `head`, then `drip`, a byte each 0.1 s."""
    return answering(head, then=lambda connection: connection.drip(drip))


def forever(piece: bytes) -> Callable[[Connection], None]:
    """Send `piece` again and again, until the peer or the test goes away."""

    def write(connection: Connection) -> None:
        while not connection.stopped.is_set():
            connection.write(piece)

    return write


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """Play one behaviour a connection, the last one for all further connections."""
    waiting = list(behaviours)

    def behave(upstream: FaultUpstream, connection: Connection) -> None:
        current = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        current(upstream, connection)

    return behave


def response(
    body: bytes = b"{}", status: str = "200 OK", headers: tuple[str, ...] = (), *, length: int = -1
) -> bytes:
    """Return a whole answer; `length` replaces the true Content-Length."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length < 0 else length}"]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + body


@contextmanager
def nobody_answers() -> Iterator[str]:
    """Give an origin whose connections never get through: its queue of waiting peers is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        while True:
            peer = stack.enter_context(socket.socket())
            peer.settimeout(0.1)
            try:
                peer.connect(listener.getsockname())
            except TimeoutError:
                break
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def certificate(folder: Path, *names: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Make a certificate for `names`; return a server's settings and those of a client with it."""
    key, chain = folder / "key.pem", folder / "chain.pem"
    subjects = ",".join(f"IP:{name}" if name[0].isdigit() else f"DNS:{name}" for name in names)
    options = f"-nodes -days 2 -subj /CN=test -keyout {key} -out {chain}"
    curve = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1"
    subprocess.run(
        f"openssl req -x509 {curve} {options} -addext subjectAltName={subjects}".split(),
        check=True,
        capture_output=True,
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(chain, key)
    return server, ssl.create_default_context(cafile=str(chain))
