"""The proxy and the client that spoil connections do what their tables say, on bare sockets."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import pytest

from tests.fault_client import Heard, Leave, Manners, ask
from tests.fault_proxy import End, FaultProxy, Toxic

BODY = bytes(range(256)) * 40  # 10 KiB
HEAD = f"POST /v1/x HTTP/1.1\r\nContent-Length: {len(BODY)}\r\n\r\n".encode()
REQUEST = HEAD + BODY
ANSWER = f"HTTP/1.1 200 OK\r\nContent-Length: {len(BODY)}\r\n\r\n".encode() + BODY


@dataclass
class Server:
    """Reads requests of a known length, answers each, and notes what came."""

    url: str
    got: list[bytes] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    pieces: list[int] = field(default_factory=list)

    def take(self, wire: socket.socket) -> None:
        """Note a request, answer it if it is whole, and then how the client ends."""
        got = bytearray()
        end = "FIN"
        try:
            while piece := wire.recv(65_536):
                self.pieces.append(len(piece))
                got += piece
                if len(got) == len(REQUEST):
                    wire.sendall(ANSWER)
        except OSError:
            end = "RST"
        self.got.append(bytes(got))
        self.ends.append(end)


@contextmanager
def serving() -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(f"http://127.0.0.1:{listener.getsockname()[1]}")
        threads = []

        def handle(wire: socket.socket) -> None:
            with wire:
                server.take(wire)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    threads.append(threading.Thread(target=handle, args=(listener.accept()[0],)))
                    threads[-1].start()

        accepting = threading.Thread(target=accept)
        accepting.start()
        yield server
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join()
        for thread in threads:
            thread.join()


WHOLE = Heard(len(REQUEST), ANSWER, ended=False)
QUICK = Manners(listens=0.4)

# What the client hears through the proxy, and how many bytes the server got.
TOXICS: dict[str, tuple[Toxic, Callable[[Heard], bool], int]] = {
    "clean": (Toxic(), lambda heard: heard == WHOLE, len(REQUEST)),
    "request latency": (Toxic(request_latency=0.05), lambda heard: heard == WHOLE, len(REQUEST)),
    "answer latency": (Toxic(latency=0.05), lambda heard: heard == WHOLE, len(REQUEST)),
    "request bandwidth": (
        Toxic(request_bandwidth=100_000), lambda heard: heard == WHOLE, len(REQUEST),
    ),
    "answer bandwidth": (Toxic(bandwidth=100_000), lambda heard: heard == WHOLE, len(REQUEST)),
    "sliced": (
        Toxic(slices=1000, request_latency=0.002), lambda heard: heard == WHOLE, len(REQUEST),
    ),
    "cut in the request": (
        Toxic(request_at=5000), lambda heard: heard.ended and not heard.answer, 5000,
    ),
    "cut in the answer": (
        Toxic(answer_at=5000), lambda heard: heard.ended and heard.answer == ANSWER[:5000],
        len(REQUEST),
    ),
    "reset before the answer": (
        Toxic(End.RESET, answer_at=0), lambda heard: heard.ended and not heard.answer, len(REQUEST),
    ),
    "half-open in the answer": (
        Toxic(End.HANG, answer_at=100),
        lambda heard: not heard.ended and heard.answer == ANSWER[:100], len(REQUEST),
    ),
    "after a time": (
        Toxic(latency=0.02, slices=500, after=0.1),
        lambda heard: heard.ended and len(heard.answer) < len(ANSWER),
        len(REQUEST),
    ),
}  # fmt: skip
SLOW = {"request latency", "answer latency", "request bandwidth", "answer bandwidth"}


@pytest.mark.parametrize("name", TOXICS)
def test_the_proxy_does_what_a_toxic_says(name: str) -> None:
    toxic, expected, arrived = TOXICS[name]
    with serving() as server, FaultProxy(server.url, {0: toxic}, seed=7) as proxy:
        began = time.monotonic()
        heard = ask(proxy.url, REQUEST, QUICK)
        seconds = time.monotonic() - began
        if name != "clean" and name not in SLOW | {"sliced"}:
            assert proxy.spoilt == [0]
        assert ask(proxy.url, REQUEST, QUICK) == WHOLE  # the next one is not touched
        assert proxy.connections == 2
    assert expected(heard), heard
    assert len(server.got[0]) == arrived
    if name in SLOW:
        assert seconds > 0.05
    if name == "sliced":
        assert len(server.pieces) > 5


def test_what_is_down_refuses_and_comes_back() -> None:
    with serving() as server, FaultProxy(server.url) as proxy:
        assert ask(proxy.url, REQUEST, QUICK) == WHOLE
        with proxy.down(), suppress(OSError):
            assert ask(proxy.url, REQUEST, QUICK).ended
        assert ask(proxy.url, REQUEST, QUICK) == WHOLE
    assert len(server.got) == 2


def test_toxics_may_be_chosen_by_number() -> None:
    with (
        serving() as server,
        FaultProxy(server.url, lambda number: Toxic(answer_at=number * 10)) as proxy,
    ):
        assert [len(ask(proxy.url, REQUEST, QUICK).answer) for _ in range(3)] == [0, 10, 20]


# What the server got and how the client ended, and what the client heard.
MANNERS: dict[str, tuple[Manners, int, str, bytes]] = {
    "well-behaved": (QUICK, len(REQUEST), "FIN", ANSWER),
    "dripping": (Manners(pieces=2000, pause=0.01), len(REQUEST), "FIN", ANSWER),
    "stalling": (Manners(stall_at=50, stall=0.2), len(REQUEST), "FIN", ANSWER),
    "cut": (Manners(stop_at=5000), 5000, "FIN", b""),
    "cut after all": (Manners(stop_at=len(REQUEST)), len(REQUEST), "FIN", ANSWER),
    "reset": (Manners(stop_at=5000, leave=Leave.RESET), 5000, "RST", b""),
    "half closed": (Manners(stop_at=5000, leave=Leave.HALF), 5000, "FIN", b""),
    "stalled for ever": (Manners(stop_at=5000, leave=Leave.STALL, listens=0.2), 5000, "FIN", b""),
    "deaf": (Manners(deaf=True, listens=0.2), len(REQUEST), "RST", b""),
}


@pytest.mark.parametrize("name", MANNERS)
def test_the_client_misbehaves_as_it_should(name: str) -> None:
    manners, arrived, end, answer = MANNERS[name]
    began = time.monotonic()
    with serving() as server:
        heard = ask(server.url, REQUEST, manners, seed=7)
    assert [len(got) for got in server.got] == [arrived]
    assert server.ends == [end]
    assert (heard.sent, heard.answer) == (arrived, answer)
    assert heard.status == (200 if answer else None)
    if name in {"stalling", "stalled for ever", "deaf"}:
        assert time.monotonic() - began > 0.2
    if name == "dripping":
        assert len(server.pieces) > 1
