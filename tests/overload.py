"""Offers a running gateway edits at a steady rate, whatever comes of them, and keeps what came."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import requests

from tests.edits import IMAGE
from tests.gateway_programs import GatewayPrograms


@dataclass(frozen=True)
class Came:
    """One answer; times are of `time.monotonic`."""

    status: int
    retry_after: str | None
    began: float
    ended: float

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended - self.began


@dataclass(frozen=True)
class Run:
    """What came of edits offered from `began` to `ended`."""

    came: Sequence[Came]
    began: float
    ended: float

    def of(self, status: int) -> list[Came]:
        """Return the answers with that status."""
        return [one for one in self.came if one.status == status]

    def busy(self, places: int) -> float:
        """Return the share of the places' time that was spent on edits which succeeded.

        It is goodput by capacity, where the capacity is the places by an edit's mean time.
        """
        spent = sum(
            max(0.0, min(one.ended, self.ended) - max(one.began, self.began))
            for one in self.of(200)
        )
        return spent / (places * (self.ended - self.began))


def percentile(seconds: Sequence[float], part: float) -> float:
    """Return what `part` of the values are not above."""
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def edit(programs: GatewayPrograms, key: str, prompt: str) -> Came:
    """Ask for one edit."""
    began = time.monotonic()
    answer = requests.post(
        f"{programs.url}/v1/images/edits",
        data={"model": "openai/gpt-image-1.5", "prompt": prompt, "size": "1024x1024"},
        files={"image": IMAGE},
        headers={"authorization": f"Bearer {key}"},
        timeout=60,
    )
    return Came(answer.status_code, answer.headers.get("Retry-After"), began, time.monotonic())


def offer(
    programs: GatewayPrograms,
    keys: Sequence[str],
    prompt: str,
    *,
    rate: float,
    seconds: float,
    at_once: int,
    settle: float = 0.0,
) -> Run:
    """Offer `rate` edits a second, for `seconds` after `settle` seconds that are not counted."""
    with ThreadPoolExecutor(at_once) as pool:
        start = time.monotonic()
        futures = []
        for number in range(round(rate * (settle + seconds))):
            time.sleep(max(0.0, start + number / rate - time.monotonic()))
            futures.append(pool.submit(edit, programs, keys[number % len(keys)], prompt))
        ended = time.monotonic()
        came = [future.result() for future in futures]
    began = start + settle
    return Run([one for one in came if one.ended > began], began, ended)


@contextmanager
def health_watched(programs: GatewayPrograms, every: float = 0.05) -> Iterator[list[float]]:
    """Ask /healthz again and again inside the block; yields the seconds that each answer took."""
    taken: list[float] = []
    over = threading.Event()

    def watch() -> None:
        with requests.Session() as session:
            while not over.wait(every):
                began = time.monotonic()
                session.get(f"{programs.url}/healthz", timeout=10).raise_for_status()
                taken.append(time.monotonic() - began)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield taken
    finally:
        over.set()
        watcher.join()
