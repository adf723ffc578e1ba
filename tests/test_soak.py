"""The soak notices what leaks, and runs: briefly here, for half an hour by `make soak`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bench.soak_watch import MEBIBYTE, Sample, Use, problems, slope, table, use_of
from server.accounts.store import POOL
from tests.programs import ROOT, Program
from tests.running import eventually

MINUTES = 10


def series(
    memory: Callable[[float], float] = lambda _: 0.0, end: Use | None = None, **last: int
) -> list[Sample]:
    """Return ten minutes of samples; `memory` gives MiB above 100 by minute."""
    samples = []
    for step in range(MINUTES * 20 + 1):
        minute = step / 20
        noise = (step * 7 % 5) * MEBIBYTE  # a picture here and there
        use = Use(int((100 + memory(minute)) * MEBIBYTE) + noise, 20, 40)
        rest = step in {0, MINUTES * 20}
        samples.append(Sample(minute * 60, {"service": use}, 0, 0, rest))
    final = replace(samples[-1], **last)
    samples[-1] = final if end is None else replace(final, uses={"service": end})
    return samples


REST = Use(100 * MEBIBYTE, 20, 40)
LEAKS = {
    "memory": (series(lambda minute: minute * 1.5), "service grows by 1.50 MiB a minute."),
    "files": (series(end=replace(REST, files=21)), "had 20 files open at rest, and has 21."),
    "threads": (series(end=replace(REST, threads=41)), "had 40 threads at rest, and has 41."),
    "connections": (
        series(end=replace(REST, connections=POOL + 1)),
        f"has {POOL + 1} database connections at rest.",
    ),
    "leases": (series(leases=1), "1 leases are left."),
    "holds": (series(held=5), "5 nano-dollars are left in holds."),
}


@pytest.mark.parametrize("kind", LEAKS)
def test_each_kind_of_leak_is_found(kind: str) -> None:
    samples, said = LEAKS[kind]
    (found,) = problems(samples)
    assert said in found


@pytest.mark.parametrize(
    "memory",
    [
        lambda _: 0.0,
        lambda minute: minute * 0.8,
        lambda minute: 200.0 if minute == 5 else 0.0,  # one large picture
        lambda minute: -minute,
        lambda minute: 40.0 if minute % 1 < minute / 10.5 else 0.0,  # more and more at a time
        lambda minute: 30.0 if minute > 8.5 else 0.0,  # a pool that filled up, once
    ],
)
def test_what_does_not_leak_is_not_accused(memory: Callable[[float], float]) -> None:
    assert problems(series(memory)) == []
    assert problems(series(memory, end=replace(REST, connections=POOL))) == []
    assert "leases 0" in table(series(memory))


def test_a_slope_needs_its_time() -> None:
    samples = series(lambda minute: minute * 100)
    assert slope(samples[:50], "service") is None
    assert slope(samples, "service") == pytest.approx(100, abs=1)


LEAKY = """
import os, sys, threading
kept = []
for line in sys.stdin:
    match line.strip():
        case "files": kept.append(os.dup(0))
        case "threads":
            kept.append(threading.Thread(target=threading.Event().wait, daemon=True))
            kept[-1].start()
        case "connections": kept += [open("imageedit.db-wal", "a") for _ in range(17)]
        case "memory": kept.append(bytearray(40_000_000))
    print("done", flush=True)
"""


def test_what_a_process_keeps_is_seen(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", LEAKY],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:

        def kept(kind: str) -> Use:
            assert child.stdin is not None
            assert child.stdout is not None
            child.stdin.write(f"{kind}\n")
            child.stdin.flush()
            assert child.stdout.readline() == "done\n"
            return use_of(child.pid)

        def said(before: Use, after: Use) -> list[str]:
            return problems(
                [Sample(0, {"service": use}, 0, 0, rest=True) for use in (before, after)]
            )

        nothing = kept("nothing")
        file = kept("files")
        assert said(nothing, file) == [
            f"service had {nothing.files} files open at rest, and has {nothing.files + 1}."
        ]
        thread = kept("threads")
        assert said(file, thread) == ["service had 1 threads at rest, and has 2."]
        connections = kept("connections")
        assert said(thread, connections) == ["service has 17 database connections at rest."]
        assert kept("memory").memory - connections.memory > 39_000_000


def test_a_soak_of_seconds_judges_as_strictly_and_may_be_stopped() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.soak"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{ROOT / 'generated'}", "SOAK_SECONDS": "8"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        soak = Program(process)
        soak.wait_for("s of load, seed")
        warm = soak.lines.index(soak.wait_for("warm after", 60))
        assert eventually(lambda: any(" edits, " in line for line in soak.lines[warm:]), 60)
        process.send_signal(signal.SIGINT)
        said = "".join(soak.lines)
        assert soak.wait_for("nothing leaks, and the books balance, so far", 60), said
        assert process.wait(30) == 0
        assert any(line.startswith("service ") for line in soak.lines)
        assert any(line.startswith("outcomes: ") and " 200" in line for line in soak.lines)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)  # so that it ends what it started
        process.wait(90)
