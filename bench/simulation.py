"""Edits on machines, simulated event by event: the time is simulated and the dice are seeded.

They arrive at random (Poisson), are held by the upstream, and queue for what is scarce: a core
before and after that, the database, in it the row of their account, Redis. What has no queue
refuses: places for held edits, the vendor's images a minute. Times in queues' service are
exponential, so that a queue is long before it is full.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from random import Random

from bench.machines import AT_BEGIN, Setup


@dataclass(slots=True)
class Queue:
    """`servers` that serve one each, first come first served; `busy`: server seconds so far."""

    servers: int = 1
    taken: int = 0
    busy: float = 0.0
    waiting: deque[Steps] = field(default_factory=deque)


Steps = Iterator[float | Queue]
"""A course of things: it yields seconds that pass, or a `Queue` that it wants to be served by."""


@dataclass(slots=True)
class Found:
    """What a simulation came to once it had settled; seconds.

    `held`: the mean number of edits at the upstream. `added`: what each that ended took over its
    time there. `use`: how much of each queue's servers was taken, from 0 to 1.
    """

    offered: int = 0
    submitted: int = 0
    refused: dict[str, int] = field(default_factory=lambda: {"places": 0, "upstream": 0})
    added: list[float] = field(default_factory=list)
    held: float = 0.0
    use: dict[str, float] = field(default_factory=dict)


class Simulation:
    """One run of `setup` with `rate` edits offered a second, each an own course of `Steps`."""

    def __init__(self, setup: Setup, rate: float, seed: int = 1) -> None:
        self._setup, self._rate = setup, rate
        self._dice = Random(seed)  # noqa: S311 -- reproducible, not secret
        self._now, self._order = 0.0, count()
        self._events: list[tuple[float, int, Steps]] = []
        self._places = [0] * setup.machines
        self._cores = [Queue(setup.cores) for _ in self._places]
        self._rows = [Queue() for _ in range(setup.accounts)]
        self._database, self._redis = Queue(), Queue()
        self._asked: deque[float] = deque()
        self._held = 0
        self._found = Found()

    def run(self, seconds: float = 300.0) -> Found:
        """Let it settle for as long as two of the longest edits, then note `seconds`."""
        self._from = 2 * self._setup.held[1]
        end = self._from + seconds
        self._go_on(self._arrivals())
        while self._events[0][0] <= end:
            before = self._now
            self._now, _, course = heapq.heappop(self._events)
            if self._now > self._from:
                self._found.held += self._held * (self._now - max(before, self._from)) / seconds
            self._go_on(course)
        queues = {"cores": self._cores, "accounts": self._rows,
                  "database": [self._database], "Redis": [self._redis]}  # fmt: skip
        for name, each in queues.items():
            servers = sum(queue.servers for queue in each)
            self._found.use[name] = sum(queue.busy for queue in each) / servers / seconds
        return self._found

    def _go_on(self, course: Steps) -> None:
        for step in course:
            if not isinstance(step, Queue):
                heapq.heappush(self._events, (self._now + step, next(self._order), course))
                return
            if step.taken == step.servers:
                step.waiting.append(course)
                return
            step.taken += 1

    def _leave(self, queue: Queue, since: float) -> None:
        queue.busy += max(0.0, self._now - max(since, self._from))
        if queue.waiting:
            self._go_on(queue.waiting.popleft())
        else:
            queue.taken -= 1

    def _some(self, mean: float) -> float:
        return self._dice.expovariate(1 / mean) if mean else 0.0

    def _served(self, queue: Queue, mean: float) -> Steps:
        yield queue
        since = self._now
        yield self._some(mean)
        self._leave(queue, since)

    def _stored(self, row: Queue, share: float) -> Steps:
        store = self._setup.store
        if store.rows:
            yield row
        since = self._now
        yield from self._served(self._database, store.busy * share)
        yield self._some((store.alone - store.busy) * share)
        if store.rows:
            self._leave(row, since)

    def _arrivals(self) -> Steps:
        for number in count():
            yield self._some(1 / self._rate)
            self._go_on(self._edit(number % self._setup.machines))

    def _edit(self, machine: int) -> Steps:
        setup, began, noted = self._setup, self._now, self._now > self._from
        found = self._found if noted else Found()
        found.offered += 1
        if self._places[machine] >= setup.most_held:
            found.refused["places"] += 1
            return
        self._places[machine] += 1
        row = self._dice.choice(self._rows)
        yield from self._served(self._redis, setup.checks * setup.check)
        yield from self._served(self._cores[machine], setup.store.cpu / 2)
        yield from self._stored(row, AT_BEGIN)
        if self._submit():
            found.submitted += 1
            held = self._dice.uniform(*setup.held)
            self._held += 1
            yield held
            self._held -= 1
            yield from self._served(self._cores[machine], setup.store.cpu / 2)
            yield from self._stored(row, 1 - AT_BEGIN)
            if self._now > self._from:
                self._found.added.append(self._now - began - held)
        else:
            found.refused["upstream"] += 1
        self._places[machine] -= 1

    def _submit(self) -> bool:
        while self._asked and self._asked[0] <= self._now - 60:
            self._asked.popleft()
        if len(self._asked) >= self._setup.upstream_a_minute:
            return False
        self._asked.append(self._now)
        return True
