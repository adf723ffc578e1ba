"""What pictures took goes back to the system, however many threads worked on them."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from gateway_http import memory as front
from server import memory as service
from tests.programs import ROOT

SCRIPT = """
import random, resource, sys, threading, time
from importlib import import_module
from server.memory import resident
limit = int(sys.argv[2]) if sys.argv[2:] else None
if limit:
    assert import_module(sys.argv[1]).give_memory_back(seconds=0.05)
bytearray(1_350_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(100):
    bytearray(1_350_000)
made = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
start = threading.Barrier(8)
def work(seed):
    dice = random.Random(seed)
    start.wait()
    kept = []
    for _ in range(60):
        # What stays of an edit is small, and lies behind what was large.
        kept += [bytearray(dice.randrange(1_100_000, 3_000_000)), bytearray(2_000)]
        if len(kept) > 6:
            del kept[0]
    small.extend(one for one in kept if len(one) == 2_000)
small = []
threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
over = time.monotonic() + 20
while limit and resident() > limit and time.monotonic() < over:
    time.sleep(0.02)
print(resident(), made)
"""


def measured(*arguments: str) -> tuple[int, int]:
    """Return the bytes that stay after much work, and how many pages 100 equal blocks took."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    stays, made = map(int, done.stdout.split())
    return stays, made


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the allocator is glibc's")
def test_memory_is_used_again_and_then_given_back() -> None:
    plain, _ = measured()
    for program in ("server.memory", "gateway_http.memory"):
        stays, made = measured(program, str(plain // 2))
        assert stays < plain / 2
        assert made < 1_000  # pages: a block that is the system's own has 330


def test_both_programs_are_told_the_same() -> None:
    for name in ("ARENAS", "MMAP_THRESHOLD", "KEPT", "SECONDS"):
        assert getattr(service, name) == getattr(front, name)
    for name in ("server", "gateway_http"):
        main = (ROOT / name / "__main__.py").read_text("utf-8")
        assert main.index("\n    give_memory_back()") < main.index("\n    sys.exit(main())")
