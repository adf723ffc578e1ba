"""Several edits at once, a thread each; what happens to them comes to the one who asked, in order.

The threads only talk to the gateway: files and the terminal belong to the caller, so that Ctrl-C
there ends everything and leaves nothing half done.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from queue import Empty, Queue

from cli.client import Refused
from cli.one_edit import Edit, Edited, perform


@dataclass(frozen=True, slots=True)
class Sent:
    """So many bytes of so many left, since the last of these."""

    name: str
    count: int
    total: int


@dataclass(frozen=True, slots=True)
class Preview:
    """A partial picture came."""

    name: str
    index: int
    picture: bytes


@dataclass(frozen=True, slots=True)
class Ended:
    """An edit is over."""

    name: str
    outcome: Edited | Refused


Happened = Sent | Preview | Ended


def perform_all(edits: Mapping[str, Edit], tick: float) -> Iterator[Happened | None]:
    """Do named edits and yield what happens, `None` after each `tick` seconds of silence."""
    happened: Queue[Happened | Exception] = Queue()
    for name, edit in edits.items():
        # A daemon: nobody waits for it once the command ends.
        threading.Thread(target=_perform, args=(name, edit, happened), daemon=True).start()
    left = len(edits)
    while left:
        try:
            event = happened.get(timeout=tick)
        except Empty:
            yield None
            continue
        if isinstance(event, Exception):
            raise event
        left -= isinstance(event, Ended)
        yield event


def _perform(name: str, edit: Edit, happened: Queue[Happened | Exception]) -> None:
    try:
        outcome = perform(
            edit,
            sent=lambda count, total: happened.put(Sent(name, count, total)),
            partial=lambda index, picture: happened.put(Preview(name, index, picture)),
        )
    except Refused as refused:
        happened.put(Ended(name, refused))
    except Exception as error:  # noqa: BLE001 -- raised again by the caller's thread
        happened.put(error)
    else:
        happened.put(Ended(name, outcome))
