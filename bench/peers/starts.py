"""How long a gateway takes to be of use, and what it takes at rest: alone, by its defaults."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack

from bench.peers.fixed_upstream import FixedUpstream
from bench.peers.running import NotStarted
from bench.peers.stand import Stand, Start, say


def starts(names: Iterable[str], runs: int) -> list[Start]:
    """Start and stop every gateway in turn, `runs` times; one that does not start is not told."""
    with ExitStack() as stack:
        stand = Stand(stack, stack.enter_context(FixedUpstream()))
        for _ in range(runs):
            for name in names:
                try:
                    stand.start(name)
                except NotStarted as error:
                    say(str(error))
                stand.stop(name)
        return stand.starts
