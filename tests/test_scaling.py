"""The model of many machines: its formulas, its simulation, and what docs/scaling.md says of it."""

from __future__ import annotations

import math
import re
from dataclasses import fields, replace
from itertools import pairwise
from statistics import fmean

import pytest

from bench.machines import Setup, Store, first_full, full
from bench.scaling import CASES, SHIPPED, paper, simulated
from bench.simulation import Simulation
from server.accounts.schema import metadata
from server.accounts.store import POOL
from server.settings import Settings
from tests.documents import PAGES

PAGE = PAGES["docs/scaling.md"]
NOTHING = Store("none", busy=0.001, alone=0.001, rows=False, cpu=0.001)
FREE = Setup(store=NOTHING, upstream_a_minute=math.inf, places=1_000_000, room=1 << 50,
             memory=1 << 50, held=(5.0, 15.0))  # fmt: skip
"""A machine without limits to speak of, and quick edits."""
SCARCE = {
    "upstream": replace(FREE, upstream_a_minute=60),
    "places": replace(FREE, places=30),
    "room": replace(FREE, room=30_500_000),
    "memory": replace(FREE, memory=FREE.rest_memory + int(30.5 * FREE.held_memory)),
    "cores": replace(FREE, store=replace(NOTHING, cpu=1.0)),
    "accounts": replace(FREE, accounts=2, store=replace(NOTHING, alone=4.0, rows=True)),
    "database": replace(FREE, store=replace(NOTHING, busy=1.0, alone=1.0)),
    "Redis": replace(FREE, check=0.5),
}


def test_as_many_edits_are_held_as_come_in_the_time_of_one() -> None:
    found = Simulation(FREE, rate=3).run(2_000)
    assert found.held == pytest.approx(found.submitted / 2_000 * FREE.mean_held, rel=0.03)
    assert found.submitted == pytest.approx(6_000, rel=0.05)
    assert len(found.added) == pytest.approx(found.submitted, rel=0.02)


def test_a_wait_in_a_queue_is_what_theory_says() -> None:
    busy = replace(FREE, store=Store("none", 0, 0, rows=False, cpu=0), checks=1, check=0.1)
    found = Simulation(busy, rate=7).run(3_000)
    assert fmean(found.added) == pytest.approx(0.1 / (1 - 0.7), rel=0.1)  # of an M/M/1 queue
    assert found.use["Redis"] == pytest.approx(0.7, rel=0.05)


@pytest.mark.parametrize("resource", SCARCE)
def test_what_is_scarce_is_named_and_is_full_in_the_simulation_too(resource: str) -> None:
    setup = SCARCE[resource]
    assert first_full(setup) == resource
    rate = full(setup)[resource]
    under, over = (Simulation(setup, rate * share).run(1_000) for share in (0.5, 2))
    if resource in over.use:
        assert under.use[resource] == pytest.approx(0.5, abs=0.1)
        assert over.use[resource] > 0.99
        assert max(use for name, use in over.use.items() if name != resource) < 0.9
        assert over.added[-1] > 10 * fmean(under.added)
    else:
        refused = over.refused["upstream" if resource == "upstream" else "places"]
        assert refused == sum(over.refused.values())
        assert over.submitted / 1_000 == pytest.approx(rate, rel=0.1)
        assert max(over.use.values()) < 0.1


@pytest.mark.parametrize("resource", SCARCE)
def test_more_machines_never_take_less(resource: str) -> None:
    rows = [replace(SCARCE[resource], machines=machines) for machines in (1, 2, 10, 100)]
    for fewer, more in pairwise(rows):
        assert all(full(more)[name] >= rate for name, rate in full(fewer).items())


def test_twice_the_machines_hold_twice_the_edits() -> None:
    few = [Simulation(replace(SCARCE["places"], machines=m), rate=40).run(300) for m in (1, 2, 4)]
    assert [one.held for one in few] == pytest.approx([30, 60, 120], rel=0.03)


def test_a_seed_gives_the_same_again_and_another_does_not() -> None:
    first, again, other = (Simulation(FREE, 2, seed).run(100) for seed in (1, 1, 2))
    assert first == again
    assert first.added != other.added


def test_the_page_has_the_tables_and_the_settings_that_are_shipped() -> None:
    for title, setups in CASES.items():
        assert f"### {title}\n" in PAGE
        assert "\n".join(paper(setups)) in PAGE
    assert "\n".join(simulated(SHIPPED)) in PAGE
    shipped = {field.name: field.default for field in fields(Settings)}
    assert (Setup().places, Setup().room) == (shipped["max_edits"], shipped["max_bytes"])
    assert f"up to {2 * POOL} connections" in PAGE
    told = re.search(r"`ALTER TABLE (\w+) ALTER (\w+) SET STORAGE EXTERNAL`", PAGE)
    assert told is not None
    assert told[2] in metadata.tables[told[1]].columns
