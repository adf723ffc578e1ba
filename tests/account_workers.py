"""Processes of their own that use the accounts, as the services of several hosts do."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext, SpawnProcess
from threading import Barrier
from typing import Any

from server.accounts.keys import Key, Keys
from server.accounts.limits import Limits
from server.accounts.store import connect
from server.domain import EditError

SPAWN: SpawnContext = multiprocessing.get_context("spawn")


def clock() -> int:
    """Return Unix milliseconds."""
    return time.time_ns() // 1_000_000


def key(key_id: str = "key", rate_limit: int = 60) -> Key:
    """Return a key that no store has, for limits."""
    return Key(
        id=key_id,
        account_id="account",
        hint="ie_abcd…wxyz",
        name="tests",
        created=0,
        ends=None,
        revoked=None,
        models=None,
        rate_limit=rate_limit,
        concurrency=16,
        spend_limit=None,
    )


class Worker:
    """A process that answers orders one by one."""

    def __init__(self, target: Any, *arguments: object) -> None:
        self._pipe, theirs = SPAWN.Pipe()
        self._process: SpawnProcess = SPAWN.Process(target=target, args=(theirs, *arguments))
        self._process.start()
        theirs.close()

    def order(self, order: object) -> None:
        """Give an order; `None` ends the process."""
        self._pipe.send(order)

    def answer(self, seconds: float = 30.0) -> Any:
        """Return its next answer; fails when none comes."""
        assert self._pipe.poll(seconds), "the worker is silent"
        return self._pipe.recv()

    def end(self) -> None:
        """Stop it, whatever it does."""
        self._process.kill()
        self._process.join()
        self._pipe.close()


@contextmanager
def workers(count: int, target: Any, *arguments: object) -> Iterator[list[Worker]]:
    """Yield `count` processes that run `target(pipe, *arguments)` and have said "ready"."""
    started = [Worker(target, *arguments) for _ in range(count)]
    try:
        for worker in started:
            assert worker.answer() == "ready"
        yield started
    finally:
        for worker in started:
            worker.end()


def check_until_refused(pipe: Connection, url: str, secret: str) -> None:
    """Use a key without a pause; answer after the first success, and when it is refused."""
    store = connect(url)
    keys = Keys(store, clock, str)
    keys.check(secret)
    pipe.send("ready")
    try:
        while True:
            keys.check(secret)
    except EditError as error:
        pipe.send((time.monotonic(), error.message))


def use_keys(pipe: Connection, url: str) -> None:
    """Use the newest key it was told without a pause; at the end answer uses and refusals."""
    keys = Keys(connect(url), clock, str)
    pipe.send("ready")
    secret, uses, refusals = pipe.recv(), 0, 0
    while True:
        if pipe.poll():
            if (told := pipe.recv()) is None:
                break
            secret = told
            pipe.send("changed")
        try:
            keys.check(secret)
            uses += 1
        except EditError:
            refusals += 1
    pipe.send((uses, refusals))


def hit_together(pipe: Connection, url: str, start: Barrier, hits: int) -> None:
    """For each key it is told, hit its limit as often as it can; answer how often that went."""
    limits = Limits(clock, redis_url=url)
    pipe.send("ready")
    while (asked := pipe.recv()) is not None:
        admitted = 0
        start.wait()
        for _ in range(hits):
            try:
                limits.hit(asked)
                admitted += 1
            except EditError:
                pass
        pipe.send(admitted)
