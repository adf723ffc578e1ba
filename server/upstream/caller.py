"""Who waits for an edit, what an edit is to the upstreams, and what is told of each attempt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from server.catalog import Route
from server.domain import Picture
from server.providers.base import UpstreamEdit

DELIVERED, CIRCUIT_OPEN, WITHHELD = "delivered", "circuit_open", "withheld"


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """What the log tells of an attempt; `detail` may quote the vendor, `seconds` is wall clock.

    `outcome` is the caller's situation, `fate` the row's name in `fates.TABLE`; "delivered" where a
    picture came, "withheld" where something of ours ended it before anything was sent. With
    "circuit_open" the upstream was not asked.
    """

    provider: str
    model: str
    outcome: str
    fate: str
    detail: str
    seconds: float


class Caller(Protocol):
    """Who waits for an edit."""

    cancels: bool
    """Whether leaving is the wish to end the edit, and not only to be gone."""

    def waits_for(self, edit_id: str) -> None:
        """Hear of an edit under way, which this one repeats, before it is waited for."""

    def remaining(self) -> float | None:
        """Return the seconds until the caller's deadline, `None` without one."""

    def left(self) -> bool:
        """Tell whether the caller cancelled, or its deadline passed."""

    def on_leave(self, callback: Callable[[], None]) -> None:
        """Have `callback` called when the caller cancels or its deadline passes."""

    def accepted(self, model: str) -> None:
        """Hear that the edit passed every check."""

    def attempted(self, record: AttemptRecord) -> None:
        """Hear of an attempt that ended."""

    def partial(self, index: int, picture: Picture, *, transparent: bool) -> None:
        """Get a picture on its way to the result, the first one with `index` 0."""


class Errand(Protocol):
    """An edit on its way to the upstreams: its words for each route, its money, its record."""

    def edit_for(self, route: Route) -> UpstreamEdit:
        """Return the edit in the words of `route`, which is asked next."""

    def submit(self) -> None:
        """Commit that the upstream may bill from now on, just before the first byte leaves.

        What it raises ends the edit, with nothing sent.
        """

    def cleared(self) -> None:
        """Note that the attempt which ended surely cost nothing."""

    def partial(self, file: bytes) -> None:
        """Get the file of a partial picture, as it came, where the edit wants some."""

    def attempted(self, record: AttemptRecord) -> None:
        """Hear of an attempt that ended."""
