"""The soak notices what leaks, and runs: briefly here, for half an hour by `make soak`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import pytest

from bench.soak_watch import MEBIBYTE, Sample, Use, problems, slope, table, use_of
from tests.programs import ROOT, Program

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
    "files": (series(end=replace(REST, files=80)), "had 20 files open at rest, and has 80."),
    "threads": (series(end=replace(REST, threads=99)), "had 40 threads at rest, and has 99."),
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
        lambda minute: 30.0 if minute > 8.5 else 0.0,  # a pool that filled up, once
    ],
)
def test_what_does_not_leak_is_not_accused(memory: Callable[[float], float]) -> None:
    assert problems(series(memory)) == []
    assert "leases 0" in table(series(memory))


def test_a_slope_needs_its_time() -> None:
    samples = series(lambda minute: minute * 100)
    assert slope(samples[:50], "service") is None
    assert slope(samples, "service") == pytest.approx(100, abs=1)


def test_a_process_that_leaks_is_seen_to() -> None:
    script = """
import os, threading
kept = bytearray(40_000_000)
files = [os.dup(0) for _ in range(30)]
threads = [threading.Thread(target=threading.Event().wait, daemon=True) for _ in range(20)]
for thread in threads: thread.start()
print("leaking", flush=True)
input()
"""
    plain = use_of(os.getpid())
    assert plain.files > 2
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"leaking\n"
        seen = use_of(child.pid)
        child.communicate(b"\n")
    assert seen.files >= 33
    assert seen.threads == 21
    assert seen.memory > 40_000_000


def test_the_soak_runs_and_tells_what_it_learned_when_it_is_stopped() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.soak"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{ROOT / 'generated'}", "SOAK_SECONDS": "15"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        soak = Program(process)
        soak.wait_for("s of load, seed")
        soak.wait_for("warm after", 60)
        process.send_signal(signal.SIGINT)
        # The verdict of seconds is no verdict: what it is made of is tested above.
        soak.wait_for("outcomes: ", 60)
        assert process.wait(30) in {0, 1}
        assert any(line.startswith("service ") for line in soak.lines)
        assert any(line.startswith("outcomes: ") and " 200" in line for line in soak.lines)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)  # so that it ends what it started
        process.wait(90)
