"""Edits that an upstream holds for long, many at once: how they end, and what memory they take.

Each load has a gateway of its own, just started, so that memory of earlier work does not count.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass

from bench.peers import load
from bench.peers.fixed_upstream import FixedUpstream
from bench.peers.material import Request
from bench.peers.measure import MemoryWatch
from bench.peers.running import NotStarted
from bench.peers.stand import Stand, least, say

LOADS = (("1MB", 300), ("64KB", 2000))
"""The size of the pictures, and how many edits are held."""
DELAY = 20.0
"""Seconds after which the upstream answers."""
RAMP = 15.0
"""Seconds over which the edits arrive."""
PATIENCE = 90.0
"""Seconds after the start at which what has not ended counts as failed."""
LOOK_BEFORE = 0.3
"""Seconds before the upstream's first answer at which the memory of the held edits is taken."""


@dataclass
class Held:
    """What one load came to; memory in bytes over all processes of the gateway.

    `at_upstream`: the most edits that the upstream had at once. `late`: seconds from the upstream's
    last answer to the client's; `last`: from the first byte sent. `idle`, `held` and `peak`: the
    memory before, just before the first answer, and the most.
    """

    gateway: str
    size: str
    edits: int
    run: int
    good: int = 0
    at_upstream: int = 0
    late: float = 0.0
    last: float = 0.0
    idle: int = 0
    held: int = 0
    peak: int = 0
    cpu_ms: float = 0.0
    why: str = ""


def hold(name: str, size: str, edits: int, run: int) -> Held:
    """Start a gateway and have it hold edits."""
    request = Request.of(size)
    with ExitStack() as stack:
        upstream = stack.enter_context(FixedUpstream())
        stand = Stand(stack, upstream, held=True)
        try:
            one = stand.start(name)
        except NotStarted as error:
            say(str(error))
            return Held(name, size, edits, run, why="it did not start")
        upstream.set(request.answer, DELAY)
        idle, cpu = one.memory(), one.cpu_seconds()
        with MemoryWatch(one.memory) as watch:
            came = load.run(
                one.address,
                request.message(one.headers),
                at_once=edits,
                least=edits,
                ramp=RAMP,
                patience=PATIENCE,
            )
            time.sleep(1)
        told = upstream.told()
        good = came.good(least(request))
        bad = [edit for edit in came.edits if edit not in good]
        held = Held(
            gateway=name,
            size=size,
            edits=edits,
            run=run,
            good=len(good),
            at_upstream=told.most_held,
            late=max((edit.ended for edit in good), default=0.0) - told.last_answer,
            last=came.seconds,
            idle=idle,
            held=watch.at(told.first_answer - LOOK_BEFORE),
            peak=watch.peak,
            cpu_ms=1000 * (one.cpu_seconds() - cpu) / max(1, len(good)),
            why=f"{len(bad)} failed: {bad[0].why}" if bad else "",
        )
    say(
        f"held {name:8}{size:>5} x {edits:<5}{held.good:5} well, {held.at_upstream} at once,"
        f" {held.late:.1f} s late, {held.last:.1f} s in all,"
        f" {(held.held - idle) / edits / 1024:.0f} KiB each, at most"
        f" {(held.peak - idle) / edits / 1024:.0f}  {held.why}"
    )
    return held
