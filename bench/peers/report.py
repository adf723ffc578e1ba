"""What was measured as Markdown: medians, and in brackets the least and the most of the runs."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from bench.peers.rounds import DIRECT, Measured


def table(measured: Sequence[Measured]) -> str:
    """Return the table of all cells."""
    lines = [
        "| picture | at once | gateway | runs | CPU ms an edit | edits/s | added p50 ms | |",
        "|---|--:|---|--:|--:|--:|--:|---|",
    ]
    cells = list(dict.fromkeys((one.size, one.at_once, one.gateway) for one in measured))
    for size, at_once, name in sorted(
        cells, key=lambda cell: cells.index((*cell[:2], cells[0][2]))
    ):
        ones = [
            one for one in measured if (one.size, one.at_once, one.gateway) == (size, at_once, name)
        ]
        good = [one for one in ones if one.good]
        direct = {
            one.run: one.p50
            for one in measured
            if (one.size, one.at_once, one.gateway) == (size, at_once, DIRECT)
        }
        cpu = spread([one.cpu_ms for one in good]) if name != DIRECT else ""
        added = spread([1000 * (one.p50 - direct[one.run]) for one in good if one.run in direct])
        rate = spread([one.good / one.seconds for one in good])
        why = "; ".join(dict.fromkeys(one.why for one in ones if one.why))
        lines.append(
            f"| {size} | {at_once} | {name} | {len(ones)} | {cpu} | {rate} | {added} | {why} |"
        )
    return "\n".join(lines)


def spread(values: Sequence[float]) -> str:
    """Return the median and the range."""
    if not values:
        return "—"
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{number(middle)} ({number(low)} to {number(high)})"


def number(value: float) -> str:
    """Return a number with three digits that count."""
    return (
        f"{value:.0f}"
        if abs(value) >= 100
        else f"{value:.1f}"
        if abs(value) >= 10
        else f"{value:.2f}"
    )
