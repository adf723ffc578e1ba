"""What a soak looks at, and what it makes of it: memory, files, threads, leases and holds.

At rest, files and threads are as many as they were: no number is too small to be a leak. What a
pool may keep does not count as one: its threads are all started before the first rest, and its
database connections are counted apart.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import func, select

from server.accounts.schema import accounts, keys
from server.accounts.store import POOL, Store

MEBIBYTE = 1_048_576
MAX_SLOPE = 1.0
"""MiB a minute that a program's memory may grow by once it is warm."""
MIN_SPAN = 300.0
"""Seconds of warm samples below which a slope says nothing."""
JUDGED = frozenset({"front", "service"})
"""Whose memory is judged: the simulator keeps a log of what it was asked."""
DATABASE = "imageedit.db"
"""The watched programs' database: its connections have this file open, and others beside it."""


@dataclass(frozen=True, slots=True)
class Use:
    """What a process has at a moment: bytes of resident memory, open files, threads.

    `connections` are those to the database, whose files are not among the others.
    """

    memory: int
    files: int
    threads: int
    connections: int = 0


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
    names = [Path(target).name for target in _targets(folder / "fd")]
    return Use(
        memory=int(status["VmRSS"].split()[0]) * 1024,
        files=sum(not name.startswith(DATABASE) for name in names),
        threads=int(status["Threads"]),
        connections=names.count(f"{DATABASE}-wal"),  # each has its own log open (sqlite.org/wal)
    )


def _targets(folder: Path) -> Iterator[str]:
    """Yield what the links in `folder` lead to; those that vanish meanwhile are left out."""
    for link in folder.iterdir():
        with suppress(FileNotFoundError):
            yield str(link.readlink())


def sample(at: float, processes: Mapping[str, int], store: Store, *, rest: bool = False) -> Sample:
    """Look at `processes` (their ids by name) and the database now."""
    with store.read() as connection:
        held = connection.scalar(select(func.coalesce(func.sum(accounts.c.held), 0)))
        leases = connection.scalar(select(func.coalesce(func.sum(keys.c.active), 0)))
    uses = {name: use_of(pid) for name, pid in processes.items()}
    return Sample(at, uses, int(leases or 0), int(held or 0), rest)


def idle(now: Sample) -> bool:
    """Tell whether no edit is under way, and no money held."""
    return not now.leases and not now.held


def counts(now: Sample) -> dict[str, Use]:
    """Return what each process has, but for its memory."""
    return {name: replace(use, memory=0) for name, use in now.uses.items()}


def slope(samples: Sequence[Sample], name: str) -> float | None:
    """Return by how many MiB a minute a process grew under load; `None` for too short a time.

    Each minute's least, which the pictures of a moment do not show in; of these the middle of the
    slopes between all pairs (Theil and Sen).
    """
    loaded = [one for one in samples if not one.rest]
    if not loaded or loaded[-1].at - loaded[0].at < MIN_SPAN:
        return None
    points: dict[float, float] = {}
    for one in loaded:
        minute, memory = one.at // 60, one.uses[name].memory / MEBIBYTE
        points[minute] = min(memory, points.get(minute, memory))
    pairs = itertools.combinations(points.items(), 2)
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
        if use.files > before.files:
            found.append(f"{name} had {before.files} files open at rest, and has {use.files}.")
        if use.threads > before.threads:
            found.append(f"{name} had {before.threads} threads at rest, and has {use.threads}.")
        if use.connections > POOL:  # so many are kept; others are closed when they are given back
            found.append(f"{name} has {use.connections} database connections at rest.")
    if last.leases:
        found.append(f"{last.leases} leases are left.")
    if last.held:
        found.append(f"{last.held} nano-dollars are left in holds.")
    return found


def table(warm: Sequence[Sample]) -> str:
    """Return the closing table: each process at the two moments of rest, and under load."""
    heads = f"{'MiB at rest':>16}{'most':>8}{'a minute':>10}{'files':>12}{'threads':>12}"
    lines = [f"{'':9}{heads}{'database':>12}"]
    first, last = warm[0], warm[-1]
    for name, use in last.uses.items():
        before, grew = first.uses[name], slope(warm, name)
        most = max(one.uses[name].memory for one in warm) / MEBIBYTE
        lines.append(
            f"{name:9}{before.memory / MEBIBYTE:8.1f} →{use.memory / MEBIBYTE:6.1f}{most:8.1f}"
            f"{'—' if grew is None else f'{grew:+.2f}':>10}"
            f"{before.files:6} →{use.files:4}{before.threads:6} →{use.threads:4}"
            f"{before.connections:6} →{use.connections:4}"
        )
    lines.append(f"leases {last.leases}, held {last.held} nano-dollars")
    return "\n".join(lines)
