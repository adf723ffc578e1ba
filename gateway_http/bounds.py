"""How long and for how much the front waits for a client before it takes the next one."""

from __future__ import annotations

from dataclasses import dataclass

MAX_HEAD = 65_536
"""Bytes of a request's line and headers together."""
MAX_GATHERED = 1_048_576
"""Bytes of a body up to which it is awaited without a thread; above, the app is asked first."""

MAX_CONNECTIONS = 4_096


@dataclass(frozen=True, slots=True)
class Bounds:
    """All of it; seconds, bytes, and bytes per second.

    `head` is for a request's whole line and headers, `idle` for a client that is silent inside a
    body, between two requests, or while an answer waits to be read. A body or answer slower than
    `rate` uses its `idle` up, a faster one earns it back. `connections` may be open at once, and
    requests that are still arriving hold `gathered` together; over either, who has kept us
    waiting longest goes. `last_bodies` is what bodies under way have left once we drain.
    """

    head: float = 10.0
    idle: float = 30.0
    rate: float = 8_192.0
    connections: int = MAX_CONNECTIONS
    gathered: int = 67_108_864
    last_bodies: float = 10.0
