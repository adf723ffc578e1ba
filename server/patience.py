"""How long the service waits for a peer that says nothing. Times in seconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Patience:
    """`chunk`: between an upload's chunks; `upload`: for all of them; `call`: for a whole edit.

    A connection that is silent for `ping` is asked whether its peer lives, and ends after `pong`
    without an answer: a host that is gone, or a process that hangs, is noticed after both together.
    """

    chunk: float = 30.0
    upload: float = 300.0
    call: float = 360.0
    ping: float = 30.0
    pong: float = 15.0
