"""A load: so many edits at once, all from one thread with a selector."""

from __future__ import annotations

import selectors
import time
from dataclasses import dataclass, field

from bench.peers.caller import Caller, Edit


@dataclass
class Load:
    """What a load came to; `seconds` from the first byte sent to the last received."""

    edits: list[Edit] = field(default_factory=list)
    began: float = 0.0
    seconds: float = 0.0

    def good(self, least: int) -> list[Edit]:
        """Return the edits that ended well, with at least `least` bytes of body."""
        return [edit for edit in self.edits if edit.status == 200 and edit.size >= least]


def run(
    address: tuple[str, int],
    request: bytes,
    *,
    at_once: int,
    least: int,
    seconds: float = 0.0,
    ramp: float = 0.0,
    patience: float = 60.0,
) -> Load:
    """Keep `at_once` edits under way; begin none after `seconds`, but `least` in all.

    With `ramp` the first of each caller are spread over so many seconds. What has not ended
    `patience` seconds after the start counts as failed.
    """
    selector = selectors.DefaultSelector()
    callers = [Caller(selector, address) for _ in range(at_once)]
    load, view = Load(began=time.monotonic()), memoryview(request)
    waiting, begun, under_way = list(reversed(callers)), 0, 0

    def note(edit: Edit, caller: Caller) -> None:
        nonlocal under_way
        load.edits.append(edit)
        under_way -= 1
        waiting.append(caller)

    try:
        while True:
            now = time.monotonic() - load.began
            due = at_once if not ramp else min(at_once, int(now / ramp * at_once) + 1)
            while (
                waiting and (begun < least or now < seconds) and (begun < due or begun >= at_once)
            ):
                caller = waiting.pop()
                begun += 1
                under_way += 1
                if failed := caller.begin(view):
                    note(failed, caller)
            if not under_way and begun >= least and now >= seconds:
                break
            if now > patience:
                for caller in callers:
                    if caller.busy:
                        note(caller.end("no answer in time"), caller)
                break
            for key, events in selector.select(0.01 if begun < at_once else 1.0):
                if edit := key.data.go_on(events):
                    note(edit, key.data)
    finally:
        for caller in callers:
            caller.close()
        selector.close()
    load.seconds = max((edit.ended for edit in load.edits), default=load.began) - load.began
    return load
