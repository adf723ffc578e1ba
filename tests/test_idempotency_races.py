"""Keys under load: threads and processes that ask for the same at once, and one edit for each."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest

from server.accounts.audit import audit
from server.accounts.idempotency import ClaimTaken, OriginalFailed
from server.accounts.store import Store
from server.domain import EditError, Situation
from tests import whole
from tests.idempotent_calls import FINGERPRINT, MINUTE, Calls, Clock, milliseconds, open_account

pytest_plugins = ("tests.databases",)

ROOT = Path(__file__).parent.parent
Answer = TypeVar("Answer")


def at_once(threads: int, act: Callable[[int], Answer]) -> list[Answer]:
    """Return what `act` returns in as many threads, which begin together."""
    gate = threading.Barrier(threads)

    def run(number: int) -> Answer:
        gate.wait()
        return act(number)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(run, range(threads)))


def test_of_first_attempts_at_once_one_runs_and_the_others_get_its_picture(store: Store) -> None:
    calls = Calls(store, clock=milliseconds, work=lambda: time.sleep(0.02))
    for turn in range(5):
        pictures = at_once(6, lambda _, key=f"key {turn}": calls.call(key=key))
        assert len(set(pictures)) == 1
        assert len(calls.submissions) == turn + 1
    assert audit(store) == []


def test_of_holds_at_once_one_gets_the_key(store: Store) -> None:
    """All have asked before any of them holds: the transaction alone decides."""
    calls = Calls(store, clock=milliseconds)

    def hold(_: int) -> int:
        try:
            calls.hold("key")
        except ClaimTaken:
            return 0
        return 1

    assert sum(at_once(6, hold)) == 1
    assert len(calls.rows()) == 1
    assert audit(store) == []


@pytest.mark.parametrize("age", [1, 24 * 60 * MINUTE])
def test_of_takeovers_at_once_one_gets_the_key(store: Store, age: int) -> None:
    """A failed original's key, and an expired one."""
    clock = Clock()
    calls = Calls(store, clock=clock)
    for turn in range(4):
        first = calls.submit(f"key {turn}")
        if age == 1:
            calls.fail(first, Situation.UPSTREAM_FAILED)
    clock.now += age

    def hold(number: int) -> int:
        taken = 0
        for turn in range(4):
            try:
                calls.hold(f"key {(turn + number) % 4}")
            except ClaimTaken:
                continue
            taken += 1
        return taken

    assert sum(at_once(6, hold)) == 4
    assert len(calls.rows()) == 8
    assert audit(store) == []


def test_of_equal_retries_at_once_each_gets_another_original(store: Store) -> None:
    calls = Calls(store, clock=milliseconds)
    for _ in range(6):
        calls.post(calls.submit())

    def retry(_: int) -> str:
        replay = calls.begin(retry=1)
        assert replay is not None
        return replay.edit_id

    assert sorted(at_once(6, retry)) == sorted(calls.submissions)


def test_thousands_of_random_calls_submit_once_a_key(store: Store) -> None:
    """Keys again and again from 8 threads, some of whose edits fail, as other processes would."""
    pick = random.Random(20_261_122)  # noqa: S311 -- a test's dice
    account_id = open_account(store)
    instances = [
        Calls(store, clock=milliseconds, account_id=account_id, pause=lambda _: time.sleep(0.005))
        for _ in range(4)
    ]
    # A third of the keys has an edit that fails once before it is done.
    failing = {f"key {number}" for number in range(0, 300, 3)}
    lock = threading.Lock()
    asked = [f"key {pick.randrange(300)}" for _ in range(whole.of(2_500, 800))]
    pictures: list[tuple[str, bytes]] = []

    def call(calls: Calls, key: str) -> None:
        while True:
            try:
                replay = calls.begin(key=key, fingerprint=FINGERPRINT)
                if replay is not None:
                    pictures.append((key, replay.picture))
                    return
                edit_id = calls.submit(key)
            except (ClaimTaken, OriginalFailed):
                continue
            with lock:
                fails = key in failing
                failing.discard(key)
            if not fails:
                pictures.append((key, calls.post(edit_id, key)))
                return
            calls.fail(edit_id, Situation.UPSTREAM_FAILED)

    to_fail = len(failing & set(asked))
    at_once(8, lambda number: [call(instances[number % 4], key) for key in asked[number::8]])
    submissions = [edit_id for calls in instances for edit_id in calls.submissions]
    assert Counter(key for key, _ in pictures) == Counter(asked)
    assert len(set(pictures)) == len(set(asked))
    assert len(submissions) == len(set(asked)) + to_fail
    states = Counter(row.state for row in instances[0].rows())
    assert states == {"posted": len(set(asked)), "voided": to_fail}
    assert audit(store) == []


def test_processes_submit_once_a_key(store: Store, database_url: str) -> None:
    pick = random.Random(7)  # noqa: S311 -- a test's dice
    account_id = open_account(store)
    asked = [[f"key {pick.randrange(40)}" for _ in range(80)] for _ in range(3)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.idempotent_calls"],
            cwd=ROOT,
            env={"PYTHONPATH": "."},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in asked
    ]
    told = {"url": database_url, "account_id": account_id, "threads": 3}
    for process, keys in zip(processes, asked, strict=True):
        assert process.stdin is not None
        json.dump(told | {"keys": keys}, process.stdin)
    ended = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], ended
    reports = [json.loads(output) for output, _ in ended]
    answers = [tuple(answer) for report in reports for answer in report["answers"]]
    submissions = [edit_id for report in reports for edit_id in report["submissions"]]
    distinct = {key for keys in asked for key in keys}
    assert len(answers) == 240
    assert len(set(answers)) == len(distinct) == len(submissions)
    assert {picture for _, picture in answers} == set(submissions)
    assert audit(store) == []


def test_an_original_of_another_process_that_died_is_not_waited_for(store: Store) -> None:
    """Its sweeper ends it; who waited runs as new."""
    calls = Calls(store, clock=milliseconds)
    edit_id = calls.submit("key")
    sweeper = threading.Timer(0.1, calls.lose, [edit_id])
    sweeper.start()
    picture = calls.call(key="key")
    sweeper.join()
    assert picture.decode() == calls.submissions[1]


def test_a_caller_that_leaves_stops_waiting(store: Store) -> None:
    calls = Calls(store, clock=milliseconds)
    calls.submit("key")
    gone = threading.Event()

    class Leaver:
        def waits_for(self, edit_id: str) -> None: ...

        def remaining(self) -> float | None:
            return 60.0

        def left(self) -> bool:
            return gone.is_set()

    threading.Timer(0.1, gone.set).start()
    with pytest.raises(EditError) as caught:
        calls.begin(key="key", waiter=Leaver())
    assert caught.value.situation is Situation.CANCELLED
