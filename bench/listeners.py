"""`python -m bench.listeners`: WSGI servers under honest, slow and leaving clients, in one run.

Each server runs the same small Flask app, `bench.listened`, which answers a multipart edit of 1 MB
by 1.35 MB. The others are installed into an environment of their own, `var/listeners`, which takes
the app's packages from this one. The table gives CPU milliseconds of the server and its children
per edit (user and system), latencies of new connections in milliseconds while half-sent headers and
stalled bodies stand around, and the most memory held; then what SIGTERM does to an edit of three
seconds, and whether the app can learn that its client has left.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import venv
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
HOME = ROOT / "var" / "listeners"
PEERS = ("gunicorn==27.0.1", "granian==2.8.7", "waitress==3.0.2")
THREADS = 64
EDITS = 300
HALF_SENT, STALLED = 200, 100
TICK = os.sysconf("SC_CLK_TCK")
APP = "bench.listened:app"

BODY = (
    b'--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\nmake it rain\r\n'
    b'--b\r\nContent-Disposition: form-data; name="image"; filename="i.png"\r\n\r\n'
    + bytes(range(256)) * 3_906
    + b"\r\n--b--\r\n"
)
HEAD = (
    "POST /edit%s HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n"
    "Connection: close\r\nContent-Length: %d\r\n\r\n"
)
EDIT = (HEAD % ("", len(BODY))).encode() + BODY
SLOW = (HEAD % ("?seconds=3", len(BODY))).encode() + BODY
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
HALF = b"POST /edit HTTP/1.1\r\nHost: x\r\nX-Half: "
STALL = (HEAD % ("", len(BODY))).encode() + BODY[:1_000]

COMMANDS: dict[str, Callable[[int], list[str]]] = {
    "gunicorn gthread": lambda port: [
        *("-m", "gunicorn", "-k", "gthread", "-w", "1", "--threads", str(THREADS)),
        *("--timeout", "300", "-b", f"127.0.0.1:{port}", "--log-level", "error", APP),
    ],
    "granian": lambda port: [
        *("-m", "granian", "--interface", "wsgi", "--workers", "1", "--host", "127.0.0.1"),
        *("--blocking-threads", str(THREADS), "--port", str(port), "--log-level", "error", APP),
    ],
    "waitress": lambda port: [
        *("-m", "waitress", f"--listen=127.0.0.1:{port}", f"--threads={THREADS}"),
        *("--channel-request-lookahead=1", "--connection-limit=1000", APP),
    ],
    "cheroot alone": lambda port: ["-m", "bench.listened", "alone", str(port), str(THREADS)],
    "cheroot as we run it": lambda port: ["-m", "bench.listened", "ours", str(port), str(THREADS)],
}


@dataclass(frozen=True)
class Server:
    """A running server: its port, its process, and all processes of it."""

    port: int
    process: subprocess.Popen[bytes]

    def _pids(self) -> Iterator[int]:
        yield self.process.pid
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        yield from map(int, children.split())

    def cpu_seconds(self) -> float:
        """Return the CPU time of all its processes."""
        fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2] for pid in self._pids()]
        return sum(int(part) for line in fields for part in line.split()[11:13]) / TICK

    def peak_mib(self) -> float:
        """Return the most memory that all its processes held."""
        lines = [Path(f"/proc/{pid}/status").read_text().splitlines() for pid in self._pids()]
        return sum(int(x.split()[1]) for one in lines for x in one if x.startswith("VmHWM")) / 1_024


def ask(port: int, sent: bytes, timeout: float = 5.0) -> bytes:
    """Send `sent` and return all that comes; raises OSError."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as client:
        client.sendall(sent)
        return b"".join(iter(lambda: client.recv(262_144), b""))


@contextmanager
def running(name: str) -> Iterator[Server]:
    """Start the server `name`, and kill it in the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    process = subprocess.Popen(  # noqa: S603 - our own table
        [HOME / "bin" / "python", *COMMANDS[name](port)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'generated'}"},
        stderr=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + 30
        while not _answers(port):
            if time.monotonic() > until:
                raise TimeoutError(name)
            time.sleep(0.1)
        yield Server(port, process)
    finally:
        process.kill()
        process.wait()


def _answers(port: int) -> bool:
    try:
        return ask(port, HEALTH).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def cpu_ms(server: Server, at_once: int) -> float:
    """Return CPU milliseconds per edit with `at_once` in flight."""

    def edit(_: int) -> None:
        if len(ask(server.port, EDIT, 60)) < 1_300_000:
            raise RuntimeError("an edit failed")

    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(edit, range(20)))
        before = server.cpu_seconds()
        list(pool.map(edit, range(EDITS)))
    return (server.cpu_seconds() - before) * 1_000 / EDITS


def among_slow_clients(server: Server) -> tuple[str, str]:
    """Return what health checks and honest edits meet among clients that send no further."""
    with ExitStack() as crowd:
        for sent in [HALF] * HALF_SENT + [STALL] * STALLED:
            one = crowd.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            one.sendall(sent)
        time.sleep(1)
        return _latency(server, HEALTH, 100), _latency(server, EDIT, 20)


def _latency(server: Server, sent: bytes, count: int) -> str:
    took, failed = [], 0
    for _ in range(count):
        began = time.perf_counter()
        try:
            failed += not ask(server.port, sent).startswith(b"HTTP/1.1 200")
        except OSError:
            failed += 1
        took.append((time.perf_counter() - began) * 1_000)
        if failed == 3:
            return "none"
    took.sort()
    return f"{took[len(took) // 2]:.0f} / {took[int(len(took) * 0.99)]:.0f}"


def at_sigterm(server: Server) -> str:
    """Return what becomes of a held edit, and of one that comes while it is held."""
    held: list[str] = []

    def hold() -> None:
        held.append(_status(server.port, SLOW))

    thread = threading.Thread(target=hold)
    thread.start()
    time.sleep(1)
    server.process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    late = _status(server.port, EDIT)
    thread.join()
    return f"held: {held[0]}, new: {late}"


def _status(port: int, sent: bytes) -> str:
    try:
        return ask(port, sent, 20)[9:12].decode() or "closed"
    except ConnectionRefusedError:
        return "refused"
    except OSError:
        return "cut"


def prepare() -> None:
    """Make the environment of the peers."""
    if not (HOME / "bin" / "gunicorn").exists():
        venv.create(HOME, with_pip=True)
        pip = [str(HOME / "bin" / "python"), "-m", "pip", "install", "-q", *PEERS]
        subprocess.run(pip, check=True)  # noqa: S603
    site = next(path for path in map(Path, sys.path) if path.name == "site-packages")
    target = next((HOME / "lib").glob("python*/site-packages"))
    (target / "ours.pth").write_text(f"{site}\n")


def main() -> None:
    """Measure all and print the table."""
    prepare()
    columns = ["CPU ms/edit at 1", "at 8", "health p50 / p99 ms", "edit p50 / p99 ms", "peak MiB"]
    print("|", " | ".join(["server", *columns, "SIGTERM", "leaving seen by"]), "|")
    print("|", " | ".join(["---"] * (len(columns) + 3)), "|")
    for name in COMMANDS:
        with running(name) as server:
            row = [f"{cpu_ms(server, at_once):.1f}" for at_once in (1, 8)]
            leaving = ask(server.port, HEALTH.replace(b"healthz", b"leaving")).split(b"\r\n\r\n")[1]
            row += [*among_slow_clients(server), f"{server.peak_mib():.0f}"]
        with running(name) as server:
            row += [at_sigterm(server), leaving.decode()]
        print("|", " | ".join([name, *row]), "|", flush=True)


if __name__ == "__main__":
    main()
