"""`python -m bench.growth DATABASE_URL`: what an edit costs where there is more of everything.

The database is an empty PostgreSQL, on this machine if its CPU is to be told. Edits of 1 MB go to
1, 2 and 4 gateways (`imageedit serve`) that share it, 8 at once over all of them; then to one of
them that holds 0, 100 and 1,000 other edits. CPU time, so that other work on the machine counts
little; medians of `RUNS` rounds in turn, with their range. Some five minutes.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import psycopg

from bench.peers import gateways, load, measure
from bench.peers.fixed_upstream import FixedUpstream
from bench.peers.material import Request, form, noise
from bench.peers.running import NotStarted, Running, free_port, start
from bench.peers.stand import least

RUNS = 3
WINDOW = 8.0
"""Seconds over which a round begins edits: the first ones after a rest cost more."""
SPREAD = ((1, 8), (2, 4), (4, 2), (1, 2))
"""Gateways, and edits at once at each: the last has as few at once as four have each."""
HELD = (0, 100, 1_000)
HELD_MODEL = "qwen/qwen-image-edit"
"""Of a vendor that nothing else here asks: its stand-in answers after an hour."""
ARRIVING = 40
"""Edits a second, of those that are to be held."""
REST = 10.0
REQUEST = Request.of("1MB")


def begin(folder: Path, url: str, upstream: int, holding: int, tries: int = 3) -> Running:
    """Start a gateway before both upstreams' ports, with a key of an account of its own.

    A port that was free may be taken a moment later, by another one's connection: it tries again.
    """
    folder.mkdir()
    port, log = free_port(), folder / "log"
    environment = gateways.ours(folder, upstream, port) | gateways.HELD
    environment |= {
        "IMAGEEDIT_DATABASE_URL": url,
        "SILICONFLOW_API_KEY": "sk-holding",
        "SILICONFLOW_BASE_URL": f"http://127.0.0.1:{holding}/v1",
    }
    headers = gateways.key(environment, folder)
    one = Running(port, start([gateways.program(), "serve"], environment, log), log, headers)
    try:
        one.wait_for(REQUEST.message(headers), least(REQUEST))
    except NotStarted:
        one.stop()
        if tries == 1:
            raise
        return begin(folder / "again", url, upstream, holding, tries - 1)
    return one


def postmaster(url: str) -> int:
    """Return the process of a database on this machine whose children serve its connections."""
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT pg_backend_pid()").fetchone()
        assert row is not None  # noqa: S101 -- it has one
        status = Path(f"/proc/{row[0]}/status").read_text("ascii")
    return int(next(line for line in status.splitlines() if line.startswith("PPid:")).split()[1])


class Clocks:
    """The CPU time from now on: of gateways, and of a database by each of its processes.

    Of one that ends meanwhile, such as a connection's, what it took is missed.
    """

    def __init__(self, used: list[Running], database: int) -> None:
        self._used, self._database = used, database
        self._before = self._now()

    def milliseconds(self, parts: float) -> tuple[float, float]:
        """Return what gateways and database have taken, each for one of so many parts."""
        ours, its = self._now()
        begun, each = self._before
        database = sum(seconds - each.get(pid, 0.0) for pid, seconds in its.items())
        return (ours - begun) * 1000 / parts, database * 1000 / parts

    def _now(self) -> tuple[float, dict[int, float]]:
        children = measure.processes(self._database)[1:]
        its = {pid: measure.cpu_seconds(pid) for pid in children}
        return sum(one.cpu_seconds() for one in self._used), its


def milliseconds(used: list[Running], database: int, at_once: int) -> tuple[float, float]:
    """Return the CPU milliseconds of an edit in one round: of the gateways, of the database.

    Each gateway has so many edits at once.
    """

    def send(one: Running) -> load.Load:
        message = REQUEST.message(one.headers)
        return load.run(one.address, message, at_once=at_once, least=2, seconds=WINDOW)

    clocks = Clocks(used, database)
    with ThreadPoolExecutor(len(used)) as pool:
        came = list(pool.map(send, used))
    time.sleep(0.2)
    return clocks.milliseconds(sum(len(one.good(least(REQUEST))) for one in came))


def at_rest(used: list[Running], database: int) -> tuple[float, float]:
    """Return the CPU milliseconds a second of one gateway without edits, and of the database."""
    clocks = Clocks(used, database)
    time.sleep(REST)
    return clocks.milliseconds(REST * len(used))


def tell(what: str, figures: Sequence[tuple[float, float]]) -> None:
    """Print the medians and ranges of some rounds."""
    columns = [
        f"{statistics.median(each):7.1f} ({min(each):.1f} to {max(each):.1f})"
        for each in zip(*figures, strict=True)
    ]
    print(f"{what:16}{columns[0]:>26}{columns[1]:>26}", flush=True)


def hold(one: Running, holding: FixedUpstream, more: int, all_of_them: int) -> None:
    """Have `more` edits of 64 KB held, until the gateway stops; return once all are."""
    headers = Request(form(noise(64_000), HELD_MODEL), b"", b"").message(one.headers)

    def send() -> None:
        load.run(one.address, headers, at_once=more, least=more, ramp=more / ARRIVING, patience=280)

    sender = ThreadPoolExecutor(1)
    sender.submit(send)
    sender.shutdown(wait=False)
    until = time.monotonic() + 120
    while holding.told().held < all_of_them:
        if time.monotonic() > until:
            raise SystemExit(f"only {holding.told().held} of {all_of_them} edits came to be held")
        time.sleep(0.5)


def main() -> None:
    """Print both tables."""
    url = sys.argv[1]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="growth-")))
        upstream, holding = (stack.enter_context(FixedUpstream()) for _ in range(2))
        upstream.set(REQUEST.answer)
        holding.set(b"{}", 3_600)
        database = postmaster(url)
        environment = {"IMAGEEDIT_DATABASE_URL": url}
        subprocess.run(  # noqa: S603 -- our own words
            [gateways.program(), "migrate"], env=environment, cwd=folder, check=True
        )
        started = []
        for number in range(max(SPREAD)[0]):
            started.append(begin(folder / str(number), url, upstream.port, holding.port))
            stack.callback(started[-1].stop)
        own, its = at_rest(started, database)
        print(f"at rest, CPU ms a second: a gateway {own:.1f}, the database for it {its:.1f}")
        print(f"{'CPU ms an edit':16}{'gateways':>26}{'database':>26}")
        rounds = [
            [milliseconds(started[:number], database, at_once) for number, at_once in SPREAD]
            for _ in range(RUNS)
        ]
        for (number, at_once), figures in zip(SPREAD, zip(*rounds, strict=True), strict=True):
            tell(f"{number} x {at_once} at once", figures)
        for fewer, held in zip((0, *HELD), HELD, strict=False):
            if held > fewer:
                hold(started[0], holding, held - fewer, held)
            beside = [milliseconds(started[:1], database, SPREAD[0][1]) for _ in range(RUNS)]
            tell(f"{held:,} held", beside)


if __name__ == "__main__":
    main()
