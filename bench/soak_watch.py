"""What a soak looks at, and what it makes of it: memory, files, threads, leases and holds."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select

from server.accounts.schema import accounts, keys
from server.accounts.store import Store

MEBIBYTE = 1_048_576
MAX_SLOPE = 1.0
"""MiB a minute that a program's memory may grow by once it is warm."""
MIN_SPAN = 180.0
"""Seconds of warm samples below which a slope says nothing."""
JUDGED = frozenset({"front", "service"})
"""Whose memory is judged: the simulator keeps a log of what it was asked."""
SPARE = 48
"""Open files, or threads, by which two moments of rest may differ: pools fill up slowly, that of
database connections to 16 of three files each."""


@dataclass(frozen=True, slots=True)
class Use:
    """What a process has at a moment: bytes of resident memory, open files, threads."""

    memory: int
    files: int
    threads: int


@dataclass(frozen=True, slots=True)
class Sample:
    """A moment, `at` seconds after the load began.

    `leases` are the edits that keys have under way, `held` is nano-dollars in holds; `rest`: there
    was no load, and all had ended.
    """

    at: float
    uses: Mapping[str, Use]
    leases: int
    held: int
    rest: bool = False


def use_of(pid: int) -> Use:
    """Return what a process has now (proc(5))."""
    folder = Path(f"/proc/{pid}")
    status = dict(
        line.split(":", 1) for line in (folder / "status").read_text("utf-8").splitlines()
    )
    return Use(
        memory=int(status["VmRSS"].split()[0]) * 1024,
        files=sum(1 for _ in (folder / "fd").iterdir()),
        threads=int(status["Threads"]),
    )


def sample(at: float, processes: Mapping[str, int], store: Store, *, rest: bool = False) -> Sample:
    """Look at `processes` (their ids by name) and the database now."""
    with store.read() as connection:
        held = connection.scalar(select(func.coalesce(func.sum(accounts.c.held), 0)))
        leases = connection.scalar(select(func.coalesce(func.sum(keys.c.active), 0)))
    uses = {name: use_of(pid) for name, pid in processes.items()}
    return Sample(at, uses, int(leases or 0), int(held or 0), rest)


def slope(samples: Sequence[Sample], name: str) -> float | None:
    """Return by how many MiB a minute a process grew under load; `None` for too short a time.

    The middle of the slopes between all pairs of samples (Theil and Sen): one large picture at the
    right moment does not tilt it.
    """
    points = [(one.at / 60, one.uses[name].memory / MEBIBYTE) for one in samples if not one.rest]
    if not points or (points[-1][0] - points[0][0]) * 60 < MIN_SPAN:
        return None
    pairs = itertools.combinations(points[:: len(points) // 300 + 1], 2)
    return statistics.median((high - low) / (late - early) for (early, low), (late, high) in pairs)


def problems(warm: Sequence[Sample]) -> list[str]:
    """Return a sentence for everything that leaks, nothing when all is well.

    `warm` are the samples from the end of the warm-up on; the first and the last were at rest.
    """
    first, last = warm[0], warm[-1]
    found = []
    for name, use in last.uses.items():
        before = first.uses[name]
        grew = slope(warm, name)
        if name in JUDGED and grew is not None and grew > MAX_SLOPE:
            found.append(f"{name} grows by {grew:.2f} MiB a minute.")
        if use.files > before.files + SPARE:
            found.append(f"{name} had {before.files} files open at rest, and has {use.files}.")
        if use.threads > before.threads + SPARE:
            found.append(f"{name} had {before.threads} threads at rest, and has {use.threads}.")
    if last.leases:
        found.append(f"{last.leases} leases are left.")
    if last.held:
        found.append(f"{last.held} nano-dollars are left in holds.")
    return found


def table(warm: Sequence[Sample]) -> str:
    """Return the closing table: each process at the two moments of rest, and under load."""
    lines = [f"{'':9}{'MiB at rest':>16}{'most':>8}{'a minute':>10}{'files':>12}{'threads':>12}"]
    first, last = warm[0], warm[-1]
    for name, use in last.uses.items():
        before, grew = first.uses[name], slope(warm, name)
        most = max(one.uses[name].memory for one in warm) / MEBIBYTE
        lines.append(
            f"{name:9}{before.memory / MEBIBYTE:8.1f} →{use.memory / MEBIBYTE:6.1f}{most:8.1f}"
            f"{'—' if grew is None else f'{grew:+.2f}':>10}"
            f"{before.files:6} →{use.files:4}{before.threads:6} →{use.threads:4}"
        )
    lines.append(f"leases {last.leases}, held {last.held} nano-dollars")
    return "\n".join(lines)
