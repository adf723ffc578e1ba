"""Callers who repeat their calls until they are answered, while the service comes and goes."""

from __future__ import annotations

import base64
import hashlib
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import requests

from tests.edits import Edit
from tests.interrupted import prepared

CALLERS = 6
PAUSE = 0.1  # seconds between two calls of a caller, at the most
PATIENCE = 60.0  # seconds that answers are waited for in the end
MODEL = "openai/gpt-image-2.6-sunburst"


@dataclass
class Answered:
    """What callers got: the digest of the picture and the cost, by the call's name."""

    calls: dict[str, tuple[str, float]] = field(default_factory=dict)
    broken_off: int = 0
    replays: int = 0


@dataclass
class _Call:
    name: str
    delay: float
    keyed: bool
    number: int = 0  # of the next attempt

    def send(self, session: requests.Session, url: str, key: dict[str, str]) -> requests.Response:
        fields = {"model": MODEL, "user": self.name}
        prompt = f"sepia {self.name} [sandbox delay={self.delay}]"
        repeat = {"x-stainless-retry-count": str(self.number)} if self.number else {}
        keyed = {"idempotency-key": self.name} if self.keyed else {}
        request = prepared(url, Edit(fields | {"prompt": prompt}), key | repeat | keyed)
        return session.send(request, timeout=PATIENCE)


class _Caller:
    def __init__(self, name: str, url: str, key: dict[str, str], answered: Answered) -> None:
        self._name = name
        self._url = url
        self._key = key
        self._answered = answered
        self._dice = random.Random(name)  # noqa: S311 -- repeatable, nothing is kept secret
        self._unanswered: list[_Call] = []
        self._made = 0

    def run(self, over: threading.Event) -> None:
        with requests.Session() as session:
            # The pauses keep the machine free for what is under test.
            while not over.wait(self._dice.uniform(0, PAUSE)):
                self._attempt(session, self._next())
            until = time.monotonic() + PATIENCE
            while self._unanswered:
                assert time.monotonic() < until, "calls stay unanswered"
                self._attempt(session, self._unanswered.pop(0))

    def _next(self) -> _Call:
        # A repeat may have to wait for a sweep: new calls go on meanwhile.
        if self._unanswered and self._dice.random() < 0.1:
            return self._unanswered.pop(0)
        self._made += 1
        delay = self._dice.choice((0, 0, 0.05, 0.3))
        return _Call(f"{self._name}, call {self._made}", delay, keyed=self._dice.random() < 0.5)

    def _attempt(self, session: requests.Session, call: _Call) -> None:
        answer = call.send(session, self._url, self._key)
        while answer.status_code == 503:  # nothing was begun
            time.sleep(0.05)
            answer = call.send(session, self._url, self._key)
        if answer.status_code == 200:
            body = answer.json()
            picture = base64.b64decode(body["data"][0]["b64_json"])
            told = hashlib.sha256(picture).hexdigest(), body["usage"]["cost"]
            self._answered.calls[call.name] = told
            self._answered.replays += answer.headers.get("idempotent-replayed") == "true"
            return
        assert answer.status_code == 502, answer.text
        self._answered.broken_off += 1
        call.number += 1
        self._unanswered.append(call)


@contextmanager
def keep_calling(url: str, key: dict[str, str]) -> Iterator[Answered]:
    """Call the front from several threads inside the block; all calls are answered after it."""
    answered, over = Answered(), threading.Event()
    callers = [_Caller(f"caller {number}", url, key, answered) for number in range(CALLERS)]
    with ThreadPoolExecutor(CALLERS) as pool:
        running = [pool.submit(caller.run, over) for caller in callers]
        try:
            yield answered
        finally:
            over.set()
        for one in running:
            one.result()
