"""Calls that repeat each other, with an upstream that notes every submission.

Run as a program it makes the calls that its standard input lists, several at a time, and prints
what came of them: one process of several on one database.
"""

from __future__ import annotations

import json
import sys
import threading
import time
import uuid
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from sqlalchemy import Connection, Row, insert, select

from server.accounts.idempotency import ClaimTaken, Idempotency, Replay, Waiter
from server.accounts.ledger import Ending, Ledger, Order
from server.accounts.results import Results
from server.accounts.schema import accounts, edits, keys
from server.accounts.store import Store, connect
from server.domain import Situation

NOW = 1_763_800_000_000
MINUTE = 60_000
FINGERPRINT = "f" * 64
HOLD = 250_000_000
COST = 40_000_000


def new_id() -> str:
    return str(uuid.uuid4())


def milliseconds() -> int:
    return time.time_ns() // 1_000_000


class Clock:
    """Unix milliseconds, by hand."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


@dataclass
class Patience:
    """A waiter with `seconds` left, who leaves after so many `looks`."""

    seconds: float | None = None
    looks: int | None = None

    def waits_for(self, edit_id: str) -> None: ...

    def remaining(self) -> float | None:
        return self.seconds

    def left(self) -> bool:
        if self.looks is None:
            return False
        self.looks -= 1
        return self.looks < 0


def open_account(store: Store) -> str:
    """Return the id of a new account with credit, and of its one key."""
    account_id = new_id()
    row = {"id": account_id, "created": NOW, "held": 0}
    with store.write() as connection:
        connection.execute(insert(accounts), row | {"posted": 0})
        none = dict.fromkeys(("spent", "active"), 0)
        words = {"digest": uuid.uuid4().hex * 2, "hint": "", "name": "", "account_id": account_id}
        limits = {"rate_limit": 60, "concurrency": 10_000}
        connection.execute(insert(keys), row | none | words | limits)
    Ledger(store, owner="", clock=lambda: NOW, new_id=new_id).top_up(account_id, 10**13)
    return account_id


class Calls:
    """The calls of one account; `work` is what an upstream does, `pause` waits for seconds."""

    def __init__(
        self,
        store: Store,
        *,
        clock: Callable[[], int],
        pause: Callable[[float], None] = time.sleep,
        account_id: str | None = None,
        work: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._work = work
        self.account_id = account_id or open_account(store)
        self.ledger = Ledger(store, owner=new_id(), clock=clock, new_id=new_id)
        self.results = Results(store, clock=clock)
        self.idempotency = Idempotency(store, self.results, clock=clock, pause=pause)
        self.submissions: list[str] = []

    def begin(
        self,
        *,
        key: str | None = None,
        retry: int = 0,
        fingerprint: str = FINGERPRINT,
        waiter: Waiter | None = None,
        others: Collection[str] | None = None,
    ) -> Replay | None:
        waiter = waiter or Patience()
        if key is not None:
            return self.idempotency.by_key(self.account_id, key, fingerprint, retry, waiter)
        if retry:
            return self.idempotency.by_content(
                self.account_id, fingerprint, retry, waiter, others=others
            )
        return None

    def hold(self, key: str | None = None, fingerprint: str = FINGERPRINT) -> str:
        """Return the id of a new edit; raises `ClaimTaken`."""
        edit_id = new_id()

        def claim(connection: Connection) -> None:
            if key is not None:
                self.idempotency.claim(connection, self.account_id, key, fingerprint, edit_id)

        order = Order(edit_id, self.account_id, self.account_id, "", "a/b", HOLD, fingerprint)
        self.ledger.hold(order, also=claim)
        return edit_id

    def submit(self, key: str | None = None, fingerprint: str = FINGERPRINT) -> str:
        """Return the id of a new edit whose upstream works; raises `ClaimTaken`."""
        edit_id = self.hold(key, fingerprint)
        self.ledger.submit(edit_id)
        self.submissions.append(edit_id)
        return edit_id

    def post(self, edit_id: str, key: str | None = None) -> bytes:
        """End an edit well; return its picture, which is like no other's."""
        picture = edit_id.encode()
        keep_ms = self.idempotency.keep_ms(key)
        keep = self.results.keep(edit_id, {"cost": COST}, picture, keep_ms)
        self.ledger.post(edit_id, COST, Ending("delivered"), also=keep)
        return picture

    def fail(
        self,
        edit_id: str,
        situation: Situation,
        *,
        billable: bool = False,
        field: str | None = None,
    ) -> None:
        """End an edit with an error whose message is its situation's name."""
        self._end(edit_id, Ending(situation.value, situation.name, field), billable=billable)

    def lose(self, edit_id: str, *, billable: bool = True) -> None:
        """End an edit as the sweeper does when its service died."""
        self._end(edit_id, Ending("lost", "The service stopped."), billable=billable)

    def call(self, *, key: str | None, retry: int = 0, fingerprint: str = FINGERPRINT) -> bytes:
        """Return the picture that a caller gets in the end, as the editor does it."""
        while True:
            replay = self.begin(key=key, retry=retry, fingerprint=fingerprint)
            if replay is not None:
                return replay.picture
            try:
                edit_id = self.submit(key, fingerprint)
            except ClaimTaken:
                continue
            self._work()
            return self.post(edit_id, key)

    def row(self, edit_id: str) -> Row[tuple[object, ...]]:
        with self._store.read() as connection:
            return connection.execute(select(edits).where(edits.c.id == edit_id)).one()

    def rows(self) -> Sequence[Row[tuple[object, ...]]]:
        """Return the edits of the account."""
        with self._store.read() as connection:
            return connection.execute(
                select(edits).where(edits.c.account_id == self.account_id)
            ).all()

    def _end(self, edit_id: str, ending: Ending, *, billable: bool) -> None:
        if billable:
            assert self.ledger.unknown(edit_id, HOLD, ending)
        else:
            assert self.ledger.void(edit_id, ending)


class Stage:
    """Calls on a clock by hand; `act` is done at the first pause of whoever waits."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.clock = Clock()
        self.pauses: list[float] = []
        self.act: Callable[[], object] | None = None
        self.calls = self.account()

    def account(self) -> Calls:
        """Return the calls of another account."""
        return Calls(self.store, clock=self.clock, pause=self._pause)

    def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        act, self.act = self.act, None
        if act is not None:
            act()


def main() -> None:
    """Make the calls of `{"url", "account_id", "threads", "keys"}` on standard input."""
    told = json.load(sys.stdin)
    store = connect(told["url"])
    calls = Calls(
        store,
        clock=milliseconds,
        account_id=told["account_id"],
        work=lambda: time.sleep(0.002),
    )
    threads: int = told["threads"]
    gate = threading.Barrier(threads)

    def run(part: list[str]) -> list[tuple[str, str]]:
        gate.wait()
        return [(key, calls.call(key=key).decode()) for key in part]

    with ThreadPoolExecutor(threads) as pool:
        parts = list(pool.map(run, [told["keys"][start::threads] for start in range(threads)]))
    answers = [answer for part in parts for answer in part]
    json.dump({"answers": answers, "submissions": calls.submissions}, sys.stdout)
    store.close()


if __name__ == "__main__":
    main()
