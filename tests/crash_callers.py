"""Callers who repeat a call until it is answered, as an SDK does, while the service comes and goes."""

from __future__ import annotations

import base64
import hashlib
import itertools
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

CALLERS = 4
PATIENCE = 60.0  # seconds that a call is repeated for


@dataclass
class Answered:
    """What callers got: the digest of the picture and the cost, by the call's name."""

    calls: dict[str, tuple[str, float]] = field(default_factory=dict)
    attempts: int = 0
    replays: int = 0
    lost: list[str] = field(default_factory=list)


@contextmanager
def keep_calling(url: str, authorization: dict[str, str], seed: int) -> Iterator[Answered]:
    """Call the front from several threads inside the block; each ends its last call after it."""
    answered, over = Answered(), threading.Event()

    def run(caller: int) -> None:
        dice = random.Random(f"{seed} {caller}")
        with requests.Session() as session:
            for number in itertools.count():
                if over.is_set():
                    return
                delay = dice.choice((0, 0, 0.05, 0.3))
                name = f"caller {caller}, call {number}"
                fields = {"model": "openai/gpt-image-2.6-sunburst", "user": name}
                edit = Edit(fields | {"prompt": f"sepia {name} [sandbox delay={delay}]"})
                keyed = {"idempotency-key": name} if dice.random() < 0.5 else {}
                _until_answered(session, url, edit, authorization | keyed, answered)

    with ThreadPoolExecutor(CALLERS) as pool:
        running = [pool.submit(run, caller) for caller in range(CALLERS)]
        try:
            yield answered
        finally:
            over.set()
        for one in running:
            one.result()


def _until_answered(
    session: requests.Session,
    url: str,
    edit: Edit,
    headers: dict[str, str],
    answered: Answered,
) -> None:
    name = edit.fields["user"]
    until = time.monotonic() + PATIENCE
    for number in itertools.count():
        answered.attempts += 1
        repeat = {"x-stainless-retry-count": str(number)} if number else {}
        answer = session.send(prepared(url, edit, headers | repeat), timeout=PATIENCE)
        if answer.status_code == 200:
            body = answer.json()
            picture = base64.b64decode(body["data"][0]["b64_json"])
            cost = body["usage"]["cost"]
            answered.calls[name] = (hashlib.sha256(picture).hexdigest(), cost)
            answered.replays += answer.headers.get("idempotent-replayed") == "true"
            return
        assert answer.status_code in {502, 503}, answer.text
        if time.monotonic() > until:
            answered.lost.append(name)
            return
        time.sleep(0.1)
