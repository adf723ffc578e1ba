"""`python -m bench.accounts [DATABASE_URL]`: what the money of one edit costs, and how much fits.

Each run makes `EDITS` edits, from the hold to the settlement, on a new SQLite file or in the
database that is named. First one after another, with this process's CPU time (user and system, all
threads) taken around each step; then with several in flight, by the clock. Medians of `RUNS` runs.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from server.accounts.keys import Keys
from server.accounts.ledger import Ending, Ledger, Order
from server.accounts.results import Results
from server.accounts.store import Store, open_store

RUNS = 5
EDITS = 200
WARM_UP = 50
IN_FLIGHT = (1, 8, 64)
PICTURE = os.urandom(1_000_000)
HOLD, COST = 250_000_000, 40_000_000
KEEP_MS = 600_000

STEPS = ("hold", "submit", "settle")
KINDS = {"without a result": None, "with a 1 MB result": PICTURE}


def now() -> int:
    """Return Unix milliseconds."""
    return time.time_ns() // 1_000_000


def new_id() -> str:
    """Return a new UUID."""
    return str(uuid.uuid4())


class Accounts:
    """One account with one key and more credit than is ever held, in `store`."""

    def __init__(self, store: Store) -> None:
        self._ledger = Ledger(store, owner=new_id(), clock=now, new_id=new_id)
        self._results = Results(store, clock=now)
        self._key, _ = Keys(store, now, new_id).create("bench", concurrency=1_000)
        self._ledger.top_up(self._key.account_id, 10**15)

    def edit(self, picture: bytes | None) -> dict[str, int]:
        """Return the CPU nanoseconds of each step of one edit."""
        key, edit_id = self._key, new_id()
        order = Order(edit_id, key.account_id, key.id, "", "brand/model", HOLD, "f" * 64)

        def settle() -> None:
            keep = self._results.keep(edit_id, {}, picture, KEEP_MS) if picture else None
            self._ledger.post(edit_id, COST, Ending("delivered"), also=keep)

        return {
            "hold": _cpu(lambda: self._ledger.hold(order)),
            "submit": _cpu(lambda: self._ledger.submit(edit_id)),
            "settle": _cpu(settle),
        }


def _cpu(step: Callable[[], object]) -> int:
    started = time.process_time_ns()
    step()
    return time.process_time_ns() - started


@contextmanager
def _accounts(url: str | None) -> Iterator[Accounts]:
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(url or f"sqlite:///{Path(folder) / 'bench.db'}")
        yield Accounts(store)
        store.close()


def steps(url: str | None, picture: bytes | None) -> dict[str, float]:
    """Return the mean CPU milliseconds of each step in one run."""
    with _accounts(url) as accounts:
        for _ in range(WARM_UP):
            accounts.edit(picture)
        spent = [accounts.edit(picture) for _ in range(EDITS)]
    return {step: statistics.fmean(edit[step] for edit in spent) / 1e6 for step in STEPS}


def flow(url: str | None, picture: bytes | None, in_flight: int) -> tuple[float, float, float]:
    """Return CPU milliseconds and KB written to the disk per edit, and edits per second."""
    with _accounts(url) as accounts, ThreadPoolExecutor(in_flight) as pool:
        list(pool.map(accounts.edit, [picture] * WARM_UP))
        before = time.process_time(), _written(), time.perf_counter()
        list(pool.map(accounts.edit, [picture] * EDITS))
        after = time.process_time(), _written(), time.perf_counter()
    cpu, written, seconds = (end - start for start, end in zip(before, after, strict=True))
    return cpu / EDITS * 1000, written / EDITS / 1000, EDITS / seconds


def _written() -> int:
    """Return the bytes that this process had the kernel write (proc(5), write_bytes)."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("write_bytes")).split()[1])


def main() -> None:
    """Print the tables."""
    url = sys.argv[1] if len(sys.argv) > 1 else None
    print(f"CPU ms an edit, median of {RUNS} runs of {EDITS} edits")
    print(f"{'':22}{''.join(f'{step:>9}' for step in (*STEPS, 'all'))}")
    for kind, picture in KINDS.items():
        runs = [steps(url, picture) for _ in range(RUNS)]
        middle = sorted(runs, key=lambda one: sum(one.values()))[RUNS // 2]
        numbers = (*middle.values(), sum(middle.values()))
        print(f"{kind:22}{''.join(f'{number:9.2f}' for number in numbers)}", flush=True)
    print(f"{'':22}{'in flight':>10}{'CPU ms':>9}{'KB written':>12}{'edits/s':>9}")
    for kind, picture in KINDS.items():
        for in_flight in IN_FLIGHT:
            flows = [flow(url, picture, in_flight) for _ in range(RUNS)]
            cpu, written, rate = map(statistics.median, zip(*flows, strict=True))
            print(f"{kind:22}{in_flight:10}{cpu:9.2f}{written:12.0f}{rate:9.0f}", flush=True)


if __name__ == "__main__":
    main()
