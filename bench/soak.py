"""`python -m bench.soak`: the gateway under load and faults for a long time, and what it keeps.

The real programs on loopback, front, service and sandbox, with proxies that spoil connections on
either side of the service, at 80 % of the cap on held edits. Takes SOAK_SECONDS (1800) of load and
SOAK_SEED (any). Ctrl-C ends it early; what was learned is told all the same. Exits with 1 where
anything leaks, the books do not balance, or a place of the cap is lost.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import grpc
import requests
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionStub

from bench.soak_load import Caller, service_toxics, upstream_toxics
from bench.soak_watch import DATABASE, Sample, counts, idle, problems, sample, table
from sandbox.server import environment
from server.accounts.audit import audit
from server.accounts.store import Store, open_store
from server.grpc_server import SPARE_THREADS
from tests.fault_proxy import FaultProxy
from tests.front_running import form
from tests.paid_keys import paid_key
from tests.pictures import encoded, gradient
from tests.programs import program

CAP = 10
CALLERS = 8
KEYS = 3
ATTEMPT_SECONDS = 5.0
EVERY = 3.0
TELL_EVERY = 30.0
REST_SECONDS = 60.0
LOOK_EVERY = 0.25
SAME_LOOKS = 4


@dataclass
class Running:
    """The programs that are watched, by name and process id, and the ways in.

    `service` is where the service listens; connections are spoilt while `spoiling` is set.
    """

    url: str
    service: str
    keys: list[str]
    processes: Mapping[str, int]
    store: Store
    spoiling: threading.Event
    proxies: Sequence[FaultProxy]

    def cut(self) -> None:
        """End the connections that the proxies carry: none stays that is still to be spoilt."""
        for proxy in self.proxies:
            proxy.cut()


@contextmanager
def running(folder: Path, dice: Random) -> Iterator[Running]:
    """Start everything; the upstreams and the service are reached through spoiling proxies."""
    database, spoiling = f"sqlite:///{folder / DATABASE}", threading.Event()
    with ExitStack() as stack:
        store = stack.enter_context(_store(database))
        settings = {
            "IMAGEEDIT_DATABASE_URL": database,
            "IMAGEEDIT_GRPC_ADDRESS": "127.0.0.1:0",
            "IMAGEEDIT_GRPC_REFLECTION": "1",  # see `start_threads`
            "IMAGEEDIT_HTTP_ADDRESS": "127.0.0.1:0",
            "IMAGEEDIT_MAX_EDITS": str(CAP),
            "IMAGEEDIT_ATTEMPT_TIMEOUT": str(ATTEMPT_SECONDS),
            "IMAGEEDIT_HTTP_THREADS": "32",
        }

        def start(module: str) -> tuple[int, str]:
            """Start a program; return its process id and the rest of its first telling line."""
            one = stack.enter_context(program("-m", module, environment=settings, folder=folder))
            said = {"sandbox": "upstream", "server": '"listening"', "gateway_http": '"listening"'}
            return one.process.pid, one.wait_for(said[module])

        simulator, line = start("sandbox")
        outside = FaultProxy(line.split()[-1], upstream_toxics(dice, spoiling))
        settings |= environment(stack.enter_context(outside).url)
        service, line = start("server")
        address = json.loads(line)["address"]
        inside = FaultProxy(f"http://{address}", service_toxics(dice, spoiling))
        settings["IMAGEEDIT_GRPC_ADDRESS"] = stack.enter_context(inside).address
        front, line = start("gateway_http")
        url = f"http://127.0.0.1:{json.loads(line)['port']}"
        keys = [paid_key(store)[1] for _ in range(KEYS)]
        processes = {"front": front, "service": service, "sandbox": simulator}
        yield Running(url, address, keys, processes, store, spoiling, (outside, inside))


@contextmanager
def _store(url: str) -> Iterator[Store]:
    store = open_store(url)
    try:
        yield store
    finally:
        store.close()


class Soak:
    """Load, watched; `samples` are from the end of the warm-up on."""

    def __init__(self, gateway: Running, dice: Random) -> None:
        self.samples: list[Sample] = []
        self._gateway = gateway
        self._callers = [
            Caller(gateway.url, gateway.keys, Random(dice.getrandbits(64)))  # noqa: S311
            for _ in range(CALLERS)
        ]
        self._began = time.monotonic()

    @property
    def outcomes(self) -> Counter[str]:
        """How many edits came to what."""
        return sum((caller.outcomes for caller in self._callers), Counter())

    def run(self, seconds: float) -> bool:
        """Warm up for a fifth of the time, and watch the rest; tell whether the time was used up.

        Ctrl-C ends the load, not the watching: what is left over must still come to its end.
        """
        whole = True
        try:
            self._load(seconds / 5)
            start_threads(self._gateway.service)
            self._rest()
            print(f"warm after {self.samples[0].at:.0f} s", flush=True)
            self._load(seconds * 4 / 5)
        except KeyboardInterrupt:
            print("stopping …", flush=True)
            whole = False
        self._rest()
        return whole

    def _load(self, seconds: float) -> None:
        """Have all callers edit, with faults, until they are told to end what they began."""
        stop = threading.Event()
        threads = [threading.Thread(target=one.run, args=(stop,)) for one in self._callers]
        for thread in threads:
            thread.start()
        self._gateway.spoiling.set()
        try:
            self._watch(seconds)
        finally:
            self._gateway.spoiling.clear()
            stop.set()
            for thread in threads:
                thread.join()
            gc.collect()  # connections that only the errors of requests still know

    def _watch(self, seconds: float) -> None:
        every = min(TELL_EVERY, seconds / 4)
        until, told = time.monotonic() + seconds, time.monotonic()
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(EVERY, every, left))
            if self.samples:
                self.samples.append(self.look())
            if time.monotonic() - told >= every:
                told = time.monotonic()
                self._tell()

    def _rest(self) -> None:
        """Wait until nothing is under way, and take a sample at rest."""
        settled(self.look, looks=0)
        self._gateway.cut()
        self.samples.append(replace(settled(self.look), rest=True))

    def look(self) -> Sample:
        """Return how things are now."""
        at = time.monotonic() - self._began
        return sample(at, self._gateway.processes, self._gateway.store)

    def _tell(self) -> None:
        now, outcomes = self.look(), self.outcomes
        uses = ", ".join(
            f"{name} {use.memory >> 20} MiB {use.files} files {use.threads} threads"
            for name, use in now.uses.items()
        )
        print(f"{now.at:6.0f} s  {outcomes.total():6} edits, {outcomes['200']} good; {uses}; "
              f"{now.leases} leases", flush=True)  # fmt: skip


def settled(look: Callable[[], Sample], looks: int = SAME_LOOKS) -> Sample:
    """Return a look at what is at rest: nothing is under way, and `looks` more saw the same.

    After REST_SECONDS it is whatever it is then.
    """
    until, same, now = time.monotonic() + REST_SECONDS, 0, look()
    while not (idle(now) and same >= looks) and time.monotonic() < until:
        time.sleep(LOOK_EVERY)
        before, now = now, look()
        same = same + 1 if counts(now) == counts(before) else 0
    return now


def start_threads(address: str) -> None:
    """Have the service start every thread of its pool, as otherwise its busiest moments do.

    Each call holds one of them as long as it lasts, and all last until every one has its answer.
    """
    done = threading.Event()

    def questions() -> Iterator[ServerReflectionRequest]:
        yield ServerReflectionRequest(list_services="")
        done.wait()

    with grpc.insecure_channel(address) as channel:
        ask: Any = ServerReflectionStub(channel).ServerReflectionInfo
        calls = [ask(questions()) for _ in range(3 * CAP + SPARE_THREADS)]
        for call in calls:
            next(call)
        done.set()
        for call in calls:
            assert list(call) == []  # noqa: S101 -- it has ended


def lost_places(gateway: Running) -> int:
    """Return how many of the cap's places are refused when as many edits as it has come at once.

    They come with all keys in turn, because the last places are for keys that hold little.
    """
    sent = form(
        model="openai/gpt-image-1.5",
        prompt="[sandbox echo delay=1]",
        image=encoded(gradient(64, 64), "PNG"),
    )

    def refused(number: int) -> bool:
        headers = {
            "Authorization": f"Bearer {gateway.keys[number % KEYS]}",
            "Content-Type": sent["content_type"],
        }
        url = f"{gateway.url}/v1/images/edits"
        answer = requests.post(url, data=sent["data"], headers=headers, timeout=30)
        return answer.status_code == 503 and "as it can" in answer.text

    with ThreadPoolExecutor(CAP) as pool:
        return sum(pool.map(refused, range(CAP)))


def main() -> int:
    """Return 1 where something is wrong."""
    seconds = float(os.environ.get("SOAK_SECONDS", "1800"))
    seed = int(os.environ.get("SOAK_SEED", "0")) or int.from_bytes(os.urandom(4))
    dice = Random(seed)  # noqa: S311 -- reproducible, not secret
    print(f"{seconds:.0f} s of load, seed {seed}, {CALLERS} callers for {CAP} places", flush=True)
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), dice) as gateway:
        soak = Soak(gateway, dice)
        whole = soak.run(seconds)
        found = problems(soak.samples)
        if lost := lost_places(gateway):
            found.append(f"{lost} of {CAP} places are lost.")
        settled(soak.look, looks=0)  # what is told after the last answer is in the books, too
        found += audit(gateway.store)
        outcomes = soak.outcomes
        if outcomes["200"] < outcomes.total() / 3:  # or it shows nothing
            found.append(f"Only {outcomes['200']} of {outcomes.total()} edits came to a picture.")
    print(table(soak.samples))
    print("outcomes: " + ", ".join(f"{count} {name}" for name, count in outcomes.most_common()))
    for sentence in found:
        print(f"FAILED: {sentence}")
    if not found:
        print("nothing leaks, and the books balance" + ("" if whole else ", so far"))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
