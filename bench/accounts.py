"""`python -m bench.accounts`: what the money of one edit costs in CPU time, on SQLite.

Each run makes `EDITS` edits, from the hold to the settlement, with this process's CPU time (user
and system, all threads) taken around each step. The table gives the median run's milliseconds.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from server.accounts.keys import Keys
from server.accounts.ledger import Ending, Ledger, Order
from server.accounts.results import Results
from server.accounts.store import Store, open_store

RUNS = 5
EDITS = 200
WARM_UP = 50
PICTURE = os.urandom(1_400_000)
HOLD, COST = 250_000_000, 40_000_000
KEEP_MS = 600_000

STEPS = ("hold", "submit", "settle")
KINDS = {"without a result": None, "with a 1.4 MB result": PICTURE}


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


def run(picture: bytes | None) -> dict[str, float]:
    """Return the mean CPU milliseconds of each step in one run, on a new database."""
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(f"sqlite:///{Path(folder) / 'bench.db'}")
        accounts = Accounts(store)
        for _ in range(WARM_UP):
            accounts.edit(picture)
        spent = [accounts.edit(picture) for _ in range(EDITS)]
        store.close()
    return {step: statistics.fmean(edit[step] for edit in spent) / 1e6 for step in STEPS}


def main() -> None:
    """Print the table."""
    print(f"CPU ms an edit, median of {RUNS} runs of {EDITS} edits")
    print(f"{'':22}{''.join(f'{step:>9}' for step in (*STEPS, 'all'))}")
    for kind, picture in KINDS.items():
        runs = [run(picture) for _ in range(RUNS)]
        middle = sorted(runs, key=lambda one: sum(one.values()))[RUNS // 2]
        numbers = (*middle.values(), sum(middle.values()))
        print(f"{kind:22}{''.join(f'{number:9.2f}' for number in numbers)}", flush=True)


if __name__ == "__main__":
    main()
