"""Leaving in order: what is held ends, nothing new begins."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition

from gateway_http import errors


class Drain:
    """Counts the edits that are held, and refuses new ones once `begin` was called."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._held = 0
        self._begun = False

    @property
    def begun(self) -> bool:
        """Whether the front is on its way out."""
        return self._begun

    @property
    def held(self) -> int:
        """How many edits are held now."""
        return self._held

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep the front alive for one edit; raises a 503 HttpError when it is on its way out."""
        with self._changed:
            if self._begun:
                raise errors.busy("The gateway is restarting; try again in a moment.")
            self._held += 1
        try:
            yield
        finally:
            with self._changed:
                self._held -= 1
                self._changed.notify_all()

    def begin(self) -> None:
        """Refuse new edits from now on."""
        with self._changed:
            self._begun = True

    def wait(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds until no edit is held, and tell whether that came."""
        with self._changed:
            return self._changed.wait_for(lambda: self._held == 0, timeout)
