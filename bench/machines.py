"""The model on paper: what machines have, what an edit of 1 MB costs them, what is full first."""

from __future__ import annotations

import math
from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Store:
    """A database and what an edit costs with it (`bench.accounts`, with 1 MB results); seconds.

    `busy`: in which it does nothing else, so 1 / edits a second at its most. `alone`: all that one
    edit waits for it. `rows`: edits of one account wait for one another that long. `cpu`: of the
    gateway.
    """

    name: str
    busy: float
    alone: float
    rows: bool
    cpu: float


SQLITE = Store("SQLite", busy=1 / 482, alone=1 / 28, rows=False, cpu=0.0098)
POSTGRESQL = Store("PostgreSQL", busy=1 / 63, alone=1 / 20.5, rows=True, cpu=0.0154)
"""The middles of 52 to 74 (16 accounts) and 17 to 24 (one) edits a second; CPU: `bench.growth`."""
WITHOUT_RESULTS = Store("PostgreSQL", busy=1 / 363, alone=1 / 44, rows=True, cpu=0.0154)
"""The middles of 344 to 381 and 27 to 61."""
AT_BEGIN = 0.25
"""Assumed: the share of a database's seconds that an edit takes before the upstream is asked."""


@dataclass(frozen=True, slots=True)
class Setup:
    """A number of machines, all alike, and what an edit of 1 MB costs them; seconds and bytes."""

    machines: int = 1
    store: Store = POSTGRESQL
    accounts: int = 16
    """As measured; all equally busy."""
    upstream_a_minute: float = 250
    """Images, whatever asks: OpenAI's highest tier as others told it in 2026-04, unconfirmed."""
    places: int = 256
    """IMAGEEDIT_MAX_EDITS, of each machine."""
    room: int = 1 << 30
    """IMAGEEDIT_MAX_BYTES, of each machine."""
    memory: int = 4 << 30
    """Assumed: of each machine."""
    cores: int = 1
    """Assumed, of each machine: `imageedit serve` is one Python process, which uses little more."""
    picture: int = 1_000_000
    held_memory: float = 1.06 * MIB
    """300 held at once, over the memory at rest (`bench.peers`)."""
    rest_memory: int = 135 * MIB
    held: tuple[float, float] = (60.0, 180.0)
    """An upstream's shortest and longest edit; all between are as likely."""
    checks: int = 2
    """Rate limits of an edit: of its key and of its end user."""
    check: float = 1 / 8_500
    """One Redis as one client found it; most of that was the client's own time."""

    @property
    def mean_held(self) -> float:
        """The mean of `held`."""
        return sum(self.held) / 2

    @property
    def most_held(self) -> int:
        """Edits that a machine can hold: by its places, room for pictures, or memory."""
        free = (self.memory - self.rest_memory) / self.held_memory
        return int(min(self.places, self.room / self.picture, free))


def full(setup: Setup) -> dict[str, float]:
    """Return the edits a second at which each resource is full, were it the only one."""
    each = setup.machines / setup.mean_held  # Little: held = edits a second x seconds held
    return {
        "upstream": setup.upstream_a_minute / 60,
        "places": each * setup.places,
        "room": each * setup.room / setup.picture,
        "memory": each * (setup.memory - setup.rest_memory) / setup.held_memory,
        "cores": setup.machines * setup.cores / setup.store.cpu,
        "accounts": setup.accounts / setup.store.alone if setup.store.rows else math.inf,
        "database": 1 / setup.store.busy,
        "Redis": 1 / (setup.checks * setup.check),
    }


def first_full(setup: Setup) -> str:
    """Return the name of the resource that is full first."""
    limits = full(setup)
    return min(limits, key=limits.__getitem__)
