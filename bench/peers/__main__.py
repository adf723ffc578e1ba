"""`python -m bench.peers`: this gateway beside others on the same edits; `--help` says how."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack

import click

from bench.peers import chart, held, report
from bench.peers.fixed_upstream import FixedUpstream
from bench.peers.gateways import GATEWAYS
from bench.peers.installs import Missing
from bench.peers.masks import masks
from bench.peers.material import PHOTO, SIZES
from bench.peers.results import Results, here
from bench.peers.rounds import WINDOW, Plan, revive, rounds
from bench.peers.stand import DIRECT, Stand, say
from bench.peers.starts import starts

AT_ONCE = ("1", "8", "64")
Command = Callable[..., None]
PARTS = ("rounds", "starts", "held", "masks")
BUDGET = 29.0


class Some(click.ParamType[tuple[str, ...]]):
    """The type of an option that takes some of `known`, with commas between."""

    name = "LIST"

    def __init__(self, known: tuple[str, ...]) -> None:
        self._known = known

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Return the words."""
        words = tuple(value) if isinstance(value, tuple) else tuple(str(value).split(","))
        for word in words:
            if word not in self._known:
                self.fail(f"{word!r} is not one of {', '.join(self._known)}", param, ctx)
        return words


def some(option: str, name: str, known: tuple[str, ...]) -> Callable[[Command], Command]:
    """Return such an option, all of `known` by default."""
    text = f"Some of {','.join(known)}."
    return click.option(option, name, type=Some(known), default=known, help=text)


@click.command()
@some("--only", "only", tuple(GATEWAYS))
@some("--size", "sizes", (*SIZES, PHOTO))
@some("--inflight", "inflight", AT_ONCE)
@some("--parts", "parts", PARTS)
@click.option("--runs", type=click.IntRange(1), default=5, show_default=True)
@click.option("--held-runs", type=click.IntRange(1), default=1, show_default=True)
@click.option("--window", type=float, default=WINDOW, show_default=True, help="Seconds of a run.")
@click.option("--minutes", default=BUDGET, show_default=True, help="After them no run is begun.")
@click.option("--quick", is_flag=True, help="One run of 1 MB, 8 at once, and no more.")
@click.option("--write", is_flag=True, help="Write docs/benchmark.md, its chart, and the README.")
def main(
    *,
    only: tuple[str, ...],
    sizes: tuple[str, ...],
    inflight: tuple[str, ...],
    parts: tuple[str, ...],
    runs: int,
    held_runs: int,
    window: float,
    minutes: float,
    quick: bool,
    write: bool,
) -> None:
    """Measure gateways on image edits, in turn, before the same upstream.

    All by default, in less than half an hour of a quiet machine: edits one after the other and many
    at once (rounds), starts, edits that the upstream holds for 20 seconds (held), and what a mask
    costs this gateway (masks).
    """
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if quick:
        sizes, inflight, parts, runs = ("1MB",), ("8",), ("rounds",), 1
    began, found = time.monotonic(), here()
    names = install(only, found)
    if "starts" in parts:
        found.starts = starts(names, runs)
    if "masks" in parts:
        found.masked = masks(runs)
    if "held" in parts:
        for run in range(held_runs):
            for size, edits in held.LOADS:
                found.held += [held.hold(name, size, edits, run) for name in names]
    if "rounds" in parts:
        with ExitStack() as stack:
            stand = Stand(stack, stack.enter_context(FixedUpstream()))
            for name in names:
                revive(stand, name)
            cells = [(size, int(number)) for size in sizes for number in inflight]
            until = began + 60 * minutes
            plan = Plan((DIRECT, *names), cells, runs, window, until)
            found.measured = rounds(stand, plan)
            found.tails = stand.tails()
    found.minutes = round((time.monotonic() - began) / 60, 1)
    print(report.page(found))
    if write:
        found.save()
        report.write(found)
        chart.write(found)


def install(only: tuple[str, ...], found: Results) -> list[str]:
    """Install the gateways; return those that are here."""
    names = []
    for name in only:
        gateway = GATEWAYS[name]
        try:
            found.versions[name], found.disk[name] = gateway.version(), gateway.disk()
            names.append(name)
        except Missing as error:
            found.left_out[name] = str(error)
            say(f"{name} is left out: {error}")
    return names


if __name__ == "__main__":
    sys.exit(main())
