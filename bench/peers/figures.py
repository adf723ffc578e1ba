"""What was found, as the text of one cell of a table: the median, and in brackets the range."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from bench.peers.held import Held
from bench.peers.results import Results
from bench.peers.rounds import Measured
from bench.peers.stand import DIRECT

NONE = "—"
LEAST_OF_TAIL = 20
"""Edits below which a p99 says nothing."""
Text = Callable[[str], str]
"""Gives a gateway's cell."""


def cpu(one: Measured) -> float:
    """Return the CPU milliseconds of an edit."""
    return one.cpu_ms


def rate(one: Measured) -> float:
    """Return the edits a second."""
    return one.good / one.seconds


def values(
    found: Results, name: str, size: str, at_once: int, value: Callable[[Measured], float]
) -> list[float]:
    """Return a cell's figure of every run; none where a run failed."""
    cell = (name, size, at_once)
    ones = [one for one in found.measured if (one.gateway, one.size, one.at_once) == cell]
    return [] if any(one.why for one in ones) else [value(one) for one in ones]


def cell(found: Results, size: str, at_once: int, value: Callable[[Measured], float]) -> Text:
    """Return what tells a cell; one that was run once, because it took long, says so."""
    failed = {
        one.gateway
        for one in found.measured
        if (one.size, one.at_once) == (size, at_once) and one.why
    }

    def text(name: str) -> str:
        if name in failed:
            return "failed"
        runs = values(found, name, size, at_once, value)
        return spread(runs) + (" once" if len(runs) == 1 < runs_of(found) else "")

    return text


def added_values(found: Results, name: str, size: str) -> list[float]:
    """Return what a gateway adds to the median latency of each run, in ms."""
    ones = [one for one in found.measured if (one.size, one.at_once) == (size, 1) and not one.why]
    direct = {one.run: one.p50 for one in ones if one.gateway == DIRECT}
    return [1000 * (one.p50 - direct[one.run]) for one in ones if one.gateway == name]


def added(found: Results, size: str) -> Text:
    """Return what tells the added latency."""
    return lambda name: spread(added_values(found, name, size))


def tail(found: Results, size: str) -> Text:
    """Return what tells the added p99 over all runs, and of how many edits it is."""
    tails = {one.gateway: one for one in found.tails if one.size == size}

    def text(name: str) -> str:
        if min(tails[each].samples if each in tails else 0 for each in (name, DIRECT)) < (
            LEAST_OF_TAIL
        ):
            return NONE
        more = 1000 * (tails[name].p99 - tails[DIRECT].p99)
        return f"{number(more)} ({tails[name].samples} edits)"

    return text


def held(
    found: Results, size: str, edits: int, value: Callable[[Held], float], *, whole: bool = False
) -> Text:
    """Return what tells of held edits; where some failed only if it is of the `whole`."""
    ones = [one for one in found.held if (one.size, one.edits) == (size, edits)]
    kept = [one for one in ones if whole or not one.why]
    return lambda name: spread([value(one) for one in kept if one.gateway == name])


def held_each(one: Held) -> float:
    """Return the KiB of memory that a held edit takes."""
    return (one.held - one.idle) / one.edits / 1024


def peak_each(one: Held) -> float:
    """Return the KiB of memory for each edit when it is most."""
    return (one.peak - one.idle) / one.edits / 1024


def start_seconds(found: Results) -> Text:
    """Return what tells how long a start takes."""
    return lambda name: spread([one.seconds for one in found.starts if one.gateway == name])


def idle(found: Results) -> Text:
    """Return what tells the memory at rest in MiB."""
    return lambda name: spread([one.idle / 2**20 for one in found.starts if one.gateway == name])


def disk(found: Results) -> Text:
    """Return what tells the megabytes of the installed files."""
    return lambda name: number(found.disk[name] / 10**6) if name in found.disk else NONE


def runs_of(found: Results) -> int:
    """Return how many runs there were."""
    return max((one.run + 1 for one in found.measured), default=0)


def spread(figures: Sequence[float]) -> str:
    """Return the median and the range."""
    if not figures:
        return NONE
    middle = number(statistics.median(figures))
    return f"{middle} ({number(min(figures))} to {number(max(figures))})" if figures[1:] else middle


def number(figure: float) -> str:
    """Return a number with the digits that count."""
    if abs(figure) >= 100 or abs(figure - round(figure)) < 1e-9:
        return f"{figure:,.0f}"
    return f"{figure:.1f}" if abs(figure) >= 10 else f"{figure:.2f}"
