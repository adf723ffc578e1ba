"""What of a request is here already, as far as no thread is needed for it."""

from __future__ import annotations

from gateway_http.head import asks_first, body_to_gather, end
from gateway_http.inflow import Inflow


class Gathering:
    """One request that is arriving: its head, and its body where that is small.

    `head` is the size of its line and headers in bytes, 0 while they arrive; `invites` tells that
    the client must be told to go on before the rest comes.
    """

    def __init__(self) -> None:
        self.head = 0
        self.invites = False
        self._looked = 0
        self._total = 0

    def ready(self, here: Inflow) -> bool:
        """Tell whether the request that is `here` needs nothing more to be worked on."""
        if not self.head:
            held = here.held()
            self.head = end(held, self._looked)
            self._looked = len(held)
            if not self.head:
                return False
            head = bytes(held[: self.head])
            self._total = self.head + body_to_gather(head)
            self.invites = self._total > len(held) and asks_first(head)
        return len(here) >= self._total
