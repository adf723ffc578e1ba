"""Edits one after the other and many at once, by every gateway in turn, round after round."""

from __future__ import annotations

import base64
import http.client
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench.peers import load
from bench.peers.fixed_upstream import FixedUpstream
from bench.peers.gateways import GATEWAYS
from bench.peers.material import SIZES, Request
from bench.peers.running import NotStarted, Running

WINDOW = 1.5
"""Seconds in which a measurement begins edits, one for each place at least."""
PATIENCE = 60.0
"""Seconds after which a measurement is given up, and the gateway started anew."""
LONG = 12.0
"""Seconds of a first run above which a cell is not run again."""
REST = 0.2
"""Seconds that what a gateway does after its answer may take: it counts too."""
DIRECT = "direct"


@dataclass
class Measured:
    """One run of one cell by one gateway; `latencies` in seconds, kept for one in flight alone.

    `cpu_ms` is for each edit; `why` says what failed, if anything did.
    """

    gateway: str
    size: str
    at_once: int
    run: int
    edits: int
    good: int
    seconds: float
    cpu_ms: float
    p50: float
    why: str = ""
    latencies: list[float] = field(default_factory=list)


@dataclass
class Start:
    """How long a start took until the first edit had ended well, and the memory a second later."""

    gateway: str
    seconds: float
    idle: int


class Stand:
    """The gateways side by side before one upstream, started as they are needed."""

    def __init__(self, stack: ExitStack, upstream: FixedUpstream, *, held: bool = False) -> None:
        self.upstream = upstream
        self.running: dict[str, Running] = {}
        self.starts: list[Start] = []
        self._held = held
        self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        stack.callback(self.stop)

    def start(self, name: str) -> Running:
        """Start a gateway afresh; raises `NotStarted`."""
        self.stop(name)
        request = Request.of_size(SIZES["64KB"])
        self.upstream.set(request.answer)
        folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self._folder))
        one = GATEWAYS[name].begin(folder, self.upstream.port, self._held)
        self.running[name] = one
        one.wait_for(request.message(one.headers), least(request))
        time.sleep(1)
        self.starts.append(Start(name, one.start_seconds, one.memory()))
        say(f"{name} took {one.start_seconds:.1f} s to start, {one.memory() >> 20} MiB")
        return one

    def stop(self, name: str | None = None) -> None:
        """Stop one, or all."""
        for each in list(self.running) if name is None else [name]:
            if one := self.running.pop(each, None):
                one.stop()


def least(request: Request) -> int:
    """Return the bytes that an answer has at the least: its picture."""
    return len(request.picture) * 4 // 3


def rounds(
    stand: Stand,
    names: Sequence[str],
    cells: Sequence[tuple[str, int]],
    runs: int,
    window: float = WINDOW,
) -> list[Measured]:
    """Measure every cell (size, edits at once) by every gateway, `runs` times in turn."""
    done: list[Measured] = []
    skipped: set[tuple[str, str, int]] = set()
    requests = {size: Request.of_size(SIZES[size]) for size, _ in cells}
    for run in range(runs):
        for size, at_once in cells:
            turn = run % len(names)
            for name in (*names[turn:], *names[:turn]):
                if (name, size, at_once) in skipped:
                    continue
                if run == 0:
                    same_picture(stand, name, requests[size])
                one = measure(stand, name, requests[size], (size, at_once), run=run, window=window)
                done.append(one)
                if one.why or one.seconds > LONG:
                    skipped.add((name, size, at_once))
                if one.why and name != DIRECT:
                    stand.start(name)
    return done


def measure(
    stand: Stand, name: str, request: Request, cell: tuple[str, int], *, run: int, window: float
) -> Measured:
    """Run one cell once."""
    size, at_once = cell
    stand.upstream.set(request.answer)
    one = stand.running.get(name)
    address = one.address if one else ("127.0.0.1", stand.upstream.port)
    message = request.message(one.headers if one else {})
    before = one.cpu_seconds() if one else 0.0
    came = load.run(
        address, message, at_once=at_once, least=at_once, seconds=window, patience=PATIENCE
    )
    time.sleep(REST)
    cpu = one.cpu_seconds() - before if one else 0.0
    good = came.good(least(request))
    told = stand.upstream.told()
    why = ""
    if len(good) < len(came.edits):
        bad = next(edit for edit in came.edits if edit not in good)
        why = f"{len(came.edits) - len(good)} of {len(came.edits)} failed: {bad.why or bad.status}"
    elif told.smallest < len(request.form) * 0.99:
        why = "the upstream did not get the whole picture"
    latencies = sorted(edit.seconds for edit in good) or [0.0]
    measured = Measured(
        name, size, at_once, run, len(came.edits), len(good), came.seconds,
        1000 * cpu / max(1, len(good)), statistics.median(latencies), why,
        [round(each, 5) for each in latencies] if at_once == 1 else [],
    )  # fmt: skip
    say(
        f"run {run + 1}  {name:8}{size:>5} x {at_once:<3}{len(good):5} edits"
        f"{len(good) / came.seconds if came.seconds else 0:8.1f} /s{measured.cpu_ms:9.2f} ms of CPU"
        f"{measured.p50 * 1000:9.1f} ms  {why}"
    )
    return measured


def same_picture(stand: Stand, name: str, request: Request) -> None:
    """Make an edit and look into its answer; raises `NotStarted` where the picture is another."""
    stand.upstream.set(request.answer)
    one = stand.running.get(name)
    port = one.port if one else stand.upstream.port
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    head, _, body = request.message(one.headers if one else {}).partition(b"\r\n\r\n")
    lines = (line.partition(": ") for line in head.decode().split("\r\n")[1:])
    try:
        connection.request(
            "POST", "/v1/images/edits", body, {name: value for name, _, value in lines}
        )
        answer = connection.getresponse().read()
    finally:
        connection.close()
    picture = json.loads(answer).get("data", [{}])[0].get("b64_json", "")
    if base64.b64decode(picture) != request.picture:
        raise NotStarted(f"{name} answers another picture: {answer[:300]!r}")


def say(line: str) -> None:
    """Tell how far it is."""
    print(line, file=sys.stderr, flush=True)
