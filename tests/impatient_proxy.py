"""A TCP proxy before the front that cuts a connection on which nothing comes back for a while.

As reverse proxies do: nginx after `proxy_read_timeout`, 60 seconds unless set otherwise.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit


@contextmanager
def impatient(url: str, patience: float) -> Iterator[str]:
    """Yield the URL of a proxy before `url` that waits `patience` seconds for the next bytes."""
    behind = urlsplit(url)
    listener = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def start(work: Callable[..., None], *arguments: socket.socket) -> None:
        threads.append(threading.Thread(target=work, args=arguments))
        threads[-1].start()

    def serve() -> None:
        with suppress(OSError):
            while True:
                start(relay, listener.accept()[0])

    def relay(client: socket.socket) -> None:
        with client, socket.create_connection((str(behind.hostname), behind.port)) as front:
            start(pump, client, front)
            front.settimeout(patience)
            pump(front, client)
            for side in (client, front):
                with suppress(OSError):
                    side.shutdown(socket.SHUT_RDWR)

    start(serve)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()
        listener.close()


def pump(source: socket.socket, sink: socket.socket) -> None:
    """Carry bytes until the source ends or is silent for longer than its time-out."""
    with suppress(OSError):
        while piece := source.recv(65_536):
            sink.sendall(piece)
