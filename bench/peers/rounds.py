"""Edits one after the other and many at once, by every gateway in turn, round after round."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bench.peers import load
from bench.peers.material import Request
from bench.peers.running import NotStarted
from bench.peers.same_picture import difference
from bench.peers.stand import DIRECT, Stand, least, say

WINDOW = 1.5
"""Seconds in which a measurement begins edits, one for each place at least."""
PATIENCE = 60.0
"""Seconds after which a measurement is given up, and the gateway started anew."""
LONG = 12.0
"""Seconds of a first run above which a cell is not run again."""
REST = 0.2
"""Seconds that what a gateway does after its answer may take: it counts too."""


@dataclass
class Measured:
    """One run of one cell by one gateway.

    `seconds` is the whole run's, `p50` one edit's; `cpu_ms` is for each edit; `why` says what
    failed, if anything did.
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


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured: every cell (size, edits at once) by every gateway, `runs` times in turn.

    A run begins edits for `window` seconds; no cell is begun after the moment `until`.
    """

    names: Sequence[str]
    cells: Sequence[tuple[str, int]]
    runs: int
    window: float = WINDOW
    until: float = math.inf


def rounds(stand: Stand, plan: Plan) -> list[Measured]:
    """Measure what was planned. A cell that took long, or failed, is not run again."""
    done: list[Measured] = []
    skipped: set[tuple[str, str, int]] = set()
    requests = {size: Request.of(size) for size, _ in plan.cells}
    for run in range(plan.runs):
        for size, at_once in plan.cells:
            if time.monotonic() > plan.until:
                return done
            turn = run % len(plan.names)
            for name in (*plan.names[turn:], *plan.names[:turn]):
                if (name, size, at_once) in skipped or not stand.has(name):
                    continue
                one = measure(
                    stand, name, requests[size], size, at_once, run=run, window=plan.window
                )
                done.append(one)
                if one.why or one.seconds > LONG:
                    skipped.add((name, size, at_once))
                if one.why and name != DIRECT:
                    revive(stand, name)
    return done


def revive(stand: Stand, name: str) -> None:
    """Start a gateway anew; where that fails it is missing from then on."""
    try:
        stand.start(name)
    except NotStarted as error:
        stand.stop(name)
        say(f"{name} is lost: {error}")


def measure(
    stand: Stand,
    name: str,
    request: Request,
    size: str,
    at_once: int,
    *,
    run: int,
    window: float,
) -> Measured:
    """Run one cell once."""
    upstream, one = stand.upstream, stand.running.get(name)
    upstream.set(request.answer)
    port, headers = (one.port, one.headers) if one else (upstream.port, {})
    why = difference(port, headers, request) if run == 0 else ""
    upstream.set(request.answer)
    before = one.cpu_seconds() if one else 0.0
    came = load.run(
        ("127.0.0.1", port),
        request.message(headers),
        at_once=at_once,
        least=at_once,
        seconds=window,
        patience=PATIENCE,
    )
    time.sleep(REST)
    cpu = one.cpu_seconds() - before if one else 0.0
    good = came.good(least(request))
    if bad := [edit for edit in came.edits if edit not in good]:
        why = f"{len(bad)} of {len(came.edits)} failed: {bad[0].why or 'a short answer'}"
    elif upstream.told().smallest < len(request.form) * 0.99:
        why = "the upstream did not get the whole picture"
    if at_once == 1:
        stand.note(name, size, good)
    measured = Measured(
        gateway=name,
        size=size,
        at_once=at_once,
        run=run,
        edits=len(came.edits),
        good=len(good),
        seconds=came.seconds,
        cpu_ms=1000 * cpu / max(1, len(good)),
        p50=statistics.median(edit.seconds for edit in good) if good else 0.0,
        why=why,
    )
    say(
        f"run {run + 1}  {name:8}{size:>5} x {at_once:<3}{len(good):5} edits"
        f"{len(good) / came.seconds if came.seconds else 0:8.1f} /s{measured.cpu_ms:9.2f} ms of CPU"
        f"{measured.p50 * 1000:9.1f} ms  {why}"
    )
    return measured
