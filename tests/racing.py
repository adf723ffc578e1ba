"""Processes that race for holds on one database; imported by the children."""

from __future__ import annotations

import multiprocessing
import time
import uuid
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.synchronize import Barrier
from types import TracebackType

from server.accounts.ledger import Ending, HoldLost, Ledger, Order
from server.accounts.store import connect
from server.domain import EditError

PROCESSES = 8
ATTEMPTS = 25

_barriers: list[Barrier] = []


class Racers:
    """The processes, started once; each race gives every one of them the same task."""

    def __enter__(self) -> Racers:
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(
            PROCESSES, context, initializer=_start, initargs=(context.Barrier(PROCESSES),)
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pool.shutdown()

    def race(self, url: str, account: str, key: str, amount: int, *, whole: bool) -> Counter[str]:
        """Attempt holds of `amount` from all processes at once; count how they went.

        "held", or the refusal's situation. Where `whole`, every edit is also carried to its end.
        """
        tasks = [
            self._pool.submit(_run, url, account, key, amount, whole) for _ in range(PROCESSES)
        ]
        return sum((task.result(60) for task in tasks), Counter())


def _start(barrier: Barrier) -> None:
    _barriers.append(barrier)


def _run(url: str, account: str, key: str, amount: int, whole: bool) -> Counter[str]:
    store = connect(url)
    with store.read():  # connected before the start
        pass
    ledger = Ledger(store, owner=_new_id(), clock=_clock, new_id=_new_id)
    outcomes: Counter[str] = Counter()
    _barriers[0].wait(30)  # all processes have one task each, and start now
    for number in range(ATTEMPTS):
        order = Order(_new_id(), account, key, "", "openai/x", amount, "")
        try:
            ledger.hold(order)
        except EditError as error:
            outcomes[error.situation.value] += 1
            continue
        outcomes["held"] += 1
        if whole:
            outcomes[_carry(ledger, order.edit_id, number, amount)] += 1
    store.close()
    return outcomes


def _carry(ledger: Ledger, edit_id: str, number: int, amount: int) -> str:
    """End an edit in the way that its number says."""
    try:
        if number % 4 == 0:
            ledger.void(edit_id, Ending("cancelled"))
            return "voided"
        ledger.submit(edit_id)
        if number % 4 == 1:
            ledger.unknown(edit_id, amount, Ending("upstream_timeout"))
            return "unknown"
        # Sometimes all of the hold, sometimes part of it, sometimes more.
        ledger.post(edit_id, amount * (number % 3) // 2 + number, Ending("delivered"))
    except HoldLost:
        return "lost"
    return "posted"


def _clock() -> int:
    return time.time_ns() // 1_000_000


def _new_id() -> str:
    return str(uuid.uuid4())
