"""`python -m bench.peers`: this gateway beside others on the same edits; `--help` says how."""

from __future__ import annotations

import resource
import sys
from contextlib import ExitStack

import click

from bench.peers import report
from bench.peers.fixed_upstream import FixedUpstream
from bench.peers.gateways import GATEWAYS
from bench.peers.installs import Missing
from bench.peers.material import SIZES
from bench.peers.rounds import DIRECT, WINDOW, Stand, rounds, say
from bench.peers.running import NotStarted

AT_ONCE = ("1", "8", "64")


def chosen(known: tuple[str, ...]) -> click.ParamType[tuple[str, ...]]:
    """Return the type of an option that takes some of `known`, with commas between."""

    class Some(click.ParamType[tuple[str, ...]]):
        name = "LIST"

        def convert(
            self, value: object, param: click.Parameter | None, ctx: click.Context | None
        ) -> tuple[str, ...]:
            words = tuple(str(value).split(","))
            for word in words:
                if word not in known:
                    self.fail(f"{word!r} is not one of {', '.join(known)}", param, ctx)
            return words

    return Some()


@click.command()
@click.option("--only", type=chosen(tuple(GATEWAYS)), default=",".join(GATEWAYS), help="Gateways.")
@click.option("--size", "sizes", type=chosen(tuple(SIZES)), default=",".join(SIZES), help="Sizes.")
@click.option("--inflight", type=chosen(AT_ONCE), default=",".join(AT_ONCE), help="Edits at once.")
@click.option("--runs", type=click.IntRange(1), default=5, show_default=True)
@click.option("--window", type=float, default=WINDOW, show_default=True, help="Seconds of a run.")
def main(
    *,
    only: tuple[str, ...],
    sizes: tuple[str, ...],
    inflight: tuple[str, ...],
    runs: int,
    window: float,
) -> None:
    """Measure gateways on image edits, in turn, before the same upstream."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with ExitStack() as stack:
        stand = Stand(stack, stack.enter_context(FixedUpstream()))
        names = [DIRECT]
        for name in only:
            try:
                stand.start(name)
                names.append(name)
            except (Missing, NotStarted) as error:
                say(f"{name} is left out: {error}")
        cells = [(size, int(number)) for size in sizes for number in inflight]
        measured = rounds(stand, names, cells, runs, window)
    print(report.table(measured))


if __name__ == "__main__":
    sys.exit(main())
