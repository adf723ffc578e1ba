"""`python -m bench.scaling`: the tables of docs/scaling.md, on paper and simulated."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from dataclasses import replace

from bench.machines import MIB, SQLITE, WITHOUT_RESULTS, Setup, first_full, full
from bench.simulation import Simulation

SHIPPED = [Setup(1, SQLITE), Setup(10), Setup(100)]
RAISED = [replace(each, upstream_a_minute=math.inf, places=2_400, room=4 << 30) for each in SHIPPED]
SMALL = [replace(each, store=WITHOUT_RESULTS) for each in RAISED[1:]]
CASES = {
    "As shipped": SHIPPED,
    "A vendor without limits, 2,400 places, 4 GiB of pictures": RAISED,
    "The same, and results too small to count": SMALL,
}
LOADS = (0.8, 1.2)
"""Offered, as shares of what fills the first resource."""
FULL = 0.99
"""The use of a queue's servers from which on those who wait are ever more."""


def paper(setups: list[Setup]) -> Iterator[str]:
    """Yield a table of the edits a second that fill each resource."""
    yield "| machines | database | " + " | ".join(full(setups[0])) + " | full first |"
    yield "|--:|---|" + "--:|" * len(full(setups[0])) + "---|"
    for setup in setups:
        rates = ["—" if math.isinf(rate) else f"{rate:,.3g}" if rate < 100 else f"{rate:,.0f}"
                 for rate in full(setup).values()]  # fmt: skip
        row = (str(setup.machines), setup.store.name, *rates, first_full(setup))
        yield f"| {' | '.join(row)} |"


HEAD = ("machines", "offered/s", "refused", "held", "cores", "memory each", "accounts", "database",
        "Redis", "added p50", "p99")  # fmt: skip


def simulated(setups: list[Setup]) -> Iterator[str]:
    """Yield a table of what simulations came to."""
    yield f"| {' | '.join(HEAD)} |"
    yield "|" + "--:|" * len(HEAD)
    for setup in setups:
        for load in LOADS:
            rate = load * min(full(setup).values())
            found = Simulation(setup, rate).run()
            memory = setup.rest_memory + found.held / setup.machines * setup.held_memory
            parts = statistics.quantiles(found.added, n=100)
            row = (
                str(setup.machines),
                f"{rate:.3g}",
                f"{sum(found.refused.values()) / found.offered:.1%}",
                f"{found.held:,.0f}",
                f"{found.use['cores']:.1%}",
                f"{memory / MIB:,.0f} MiB",
                f"{found.use['accounts']:.0%}" if setup.store.rows else "—",
                f"{found.use['database']:.0%}",
                f"{found.use['Redis']:.2%}",
                *(
                    "grows" if max(found.use.values()) > FULL else f"{parts[at - 1] * 1000:,.0f} ms"
                    for at in (50, 99)
                ),
            )
            yield f"| {' | '.join(row)} |"


def tables() -> Iterator[str]:
    """Yield the tables of the page, line by line."""
    for title, setups in CASES.items():
        yield from ("", f"### {title}", "", *paper(setups), "", *simulated(setups))


if __name__ == "__main__":
    print("\n".join(tables()).strip())
