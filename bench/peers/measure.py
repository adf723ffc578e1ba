"""What a program and all processes under it use: CPU time and memory, as Linux tells them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType

SCHEDULER_CLOCK = 2
"""CPUCLOCK_SCHED: the time that the scheduler counted, in nanoseconds, ended threads included."""


def processes(root: int) -> list[int]:
    """Return the process `root` and all that descend from it, those alive."""
    found, todo = [], [root]
    while todo:
        pid = todo.pop()
        found.append(pid)
        with suppress(OSError):
            for task in Path(f"/proc/{pid}/task").iterdir():
                with suppress(OSError):
                    todo += map(int, (task / "children").read_text("ascii").split())
    return found


def cpu_seconds(root: int) -> float:
    """Return the CPU time of a tree of processes so far, user and system.

    By each process's own clock (clock_getcpuclockid(3)): /proc/PID/stat is only good to 10 ms.
    """
    total = 0.0
    for pid in processes(root):
        with suppress(OSError):
            total += time.clock_gettime((~pid << 3) | SCHEDULER_CLOCK)
    return total


def memory(root: int) -> int:
    """Return the bytes of a tree of processes: PSS, where shared pages count once in all."""
    total = 0
    for pid in processes(root):
        with suppress(OSError):
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii")
            line = next(line for line in rollup.splitlines() if line.startswith("Pss:"))
            total += int(line.split()[1]) * 1024
    return total


class MemoryWatch:
    """Asks `memory` every `every` seconds while it is entered.

    `samples` are pairs of the monotonic time and bytes.
    """

    def __init__(self, memory: Callable[[], int], every: float = 0.5) -> None:
        self.samples: list[tuple[float, int]] = []
        self._memory, self._every = memory, every
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> MemoryWatch:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End."""
        self._ended.set()
        self._thread.join()

    @property
    def peak(self) -> int:
        """The most bytes seen."""
        return max(size for _, size in self.samples)

    def at(self, moment: float) -> int:
        """Return the bytes at the last look before `moment`, or at the first."""
        before = [size for when, size in self.samples if when <= moment]
        return before[-1] if before else self.samples[0][1]

    def _run(self) -> None:
        while True:
            self.samples.append((time.monotonic(), self._memory()))
            if self._ended.wait(self._every):
                return
