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
import random, sys, threading
if sys.argv[1:]:
    from importlib import import_module
    assert import_module(sys.argv[1]).give_memory_back()
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
status = open("/proc/self/status").read()
print(int(status.split("VmRSS:")[1].split()[0]) // 1024)
"""


def megabytes(*module: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *module],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the allocator is glibc's")
def test_the_allocator_is_told_to_give_back() -> None:
    plain = megabytes()
    assert megabytes("server.memory") < plain / 2
    assert megabytes("gateway_http.memory") < plain / 2


def test_both_programs_are_told_the_same() -> None:
    assert (service.ARENAS, service.MMAP_THRESHOLD) == (front.ARENAS, front.MMAP_THRESHOLD)
    for name in ("server", "gateway_http"):
        main = (ROOT / name / "__main__.py").read_text("utf-8")
        assert main.index("    give_memory_back()") < main.index("    try:")
