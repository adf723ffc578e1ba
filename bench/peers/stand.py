"""The gateways side by side before one upstream, and what is noted of their starts and edits."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.peers.caller import Edit
from bench.peers.fixed_upstream import FixedUpstream
from bench.peers.gateways import GATEWAYS
from bench.peers.material import Request
from bench.peers.running import Running

DIRECT = "direct"
"""The name of no gateway: the upstream is asked itself."""


@dataclass
class Start:
    """How long a start took until the first edit had ended well, and the memory a second later."""

    gateway: str
    seconds: float
    idle: int


@dataclass
class Tail:
    """Latencies of edits one after the other, in seconds, over all runs together."""

    gateway: str
    size: str
    samples: int
    p50: float
    p99: float


class Stand:
    """The gateways that run, by name, and their `starts`; `held`: with room for 2,000 held edits.

    They stop with `stack`.
    """

    def __init__(self, stack: ExitStack, upstream: FixedUpstream, *, held: bool = False) -> None:
        self.upstream = upstream
        self.running: dict[str, Running] = {}
        self.starts: list[Start] = []
        self._latencies: dict[tuple[str, str], list[float]] = {}
        self._held = held
        self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        stack.callback(self.stop)

    def has(self, name: str) -> bool:
        """Tell whether a gateway runs; one always can ask the upstream itself."""
        return name == DIRECT or name in self.running

    def start(self, name: str) -> Running:
        """Start a gateway afresh; raises `NotStarted`."""
        self.stop(name)
        request = Request.of("64KB")
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

    def note(self, name: str, size: str, edits: Sequence[Edit]) -> None:
        """Keep the latencies of edits that were made one after the other."""
        self._latencies.setdefault((name, size), []).extend(edit.seconds for edit in edits)

    def tails(self) -> list[Tail]:
        """Return what the latencies came to."""
        return [
            Tail(
                gateway=name,
                size=size,
                samples=len(seconds),
                p50=statistics.median(seconds),
                p99=statistics.quantiles(seconds, n=100, method="inclusive")[98],
            )
            for (name, size), seconds in self._latencies.items()
            if len(seconds) > 1
        ]


def least(request: Request) -> int:
    """Return the bytes that an answer has at the least: its picture."""
    return len(request.picture) * 4 // 3


def say(line: str) -> None:
    """Tell how far it is."""
    print(line, file=sys.stderr, flush=True)
