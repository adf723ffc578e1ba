"""One upstream attempt: its time box, its cancel switch, and whether it may have cost money."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import Self

from server.upstream.watchdog import Watchdog


class Ended(Exception):
    """The attempt is over. `sent`: a byte of the paid request may have reached the upstream."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class TimedOut(Ended):
    """The attempt's time was used up."""


class Cancelled(Ended):
    """`Attempt.cancel` was called."""


_MESSAGES: dict[type[Ended], str] = {
    TimedOut: "the attempt's time was used up",
    Cancelled: "the attempt was cancelled",
}


def _nothing() -> None:
    """Stand in for a hook that nobody set."""


class Attempt:
    """A wall clock around everything that one attempt does, and a switch that ends it early.

    `timeout` is in seconds from now and bounds name lookup, connecting, TLS, sending, waiting,
    reading and the download of the result together: a time-out of the socket would start anew
    with every byte. At its end, or on `cancel`, whatever blocks is cut within milliseconds.

    `on_send` is called just before the first byte of the paid request leaves, on a connection
    that is ready; if it raises, nothing is sent and its exception reaches the caller of `send`.
    From then on `sent` is true: the request may have been billed. `free_cancel`: the vendor bills
    nothing that is cut before its whole answer came. `kept` is true once that was a picture.
    """

    def __init__(
        self,
        timeout: float,
        watchdog: Watchdog,
        *,
        on_send: Callable[[], None] = _nothing,
        free_cancel: bool = False,
    ) -> None:
        self.on_send = on_send
        self.sent = False
        self.kept = False
        self._free_cancel = free_cancel
        self._deadline = time.monotonic() + timeout
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._reason: type[Ended] | None = None
        self._cut: Callable[[], None] | None = None
        self._ticket = watchdog.at(self._deadline, partial(self._end, TimedOut))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ticket.cancel()

    def cancel(self) -> None:
        """End the attempt now, from any thread, at any moment, as often as you like."""
        self._end(Cancelled)

    def withdraw(self) -> None:
        """End the attempt unless it may be billed then: a paid request is waited for."""
        self._end(Cancelled, unless_billed=True)

    def keep(self) -> None:
        """Note that the vendor made a picture, which nobody's leaving loses any more.

        Raises TimedOut or Cancelled if the attempt is over.
        """
        with self._lock:
            self.kept = True
        self.check()

    def remaining(self) -> float:
        """Return the seconds left, never below 0."""
        return max(0.0, self._deadline - time.monotonic())

    @property
    def expired(self) -> bool:
        """Whether the time ran out before anyone cancelled."""
        return self._ending() is TimedOut

    @property
    def cancelled(self) -> bool:
        """Whether someone cancelled before the time ran out."""
        return self._ending() is Cancelled

    def check(self) -> None:
        """Raise TimedOut or Cancelled if the attempt is over."""
        reason = self._ending()
        if reason is not None:
            raise reason(_MESSAGES[reason], sent=self.sent)

    def pause(self, seconds: float) -> None:
        """Sleep; raises TimedOut or Cancelled as soon as the attempt is over."""
        self._over.wait(min(seconds, self.remaining()))
        self.check()

    def begin_sending(self) -> None:
        """Run `on_send` and mark the paid request as sent.

        Raises what the hook raises, and TimedOut or Cancelled if the attempt is over before or
        after the hook: then nothing was sent. RuntimeError: it already sent its one paid request.
        """
        if self.sent:
            raise RuntimeError("an attempt sends one paid request only")
        self.check()
        self.on_send()
        with self._lock:  # so that `withdraw` comes before or after, never in between
            self.sent = self._reason is None
        if not self.sent:
            self.check()

    @contextmanager
    def guard(self, cut: Callable[[], None]) -> Iterator[None]:
        """Have `cut` called, once and from another thread, if the attempt ends inside the block.

        `cut` must be quick and end what the block waits for; it is never called after the block.
        Raises TimedOut or Cancelled at the start if the attempt is over already.
        """
        with self._lock:
            self._cut = cut
        try:
            self.check()
            yield
        finally:
            with self._lock:
                self._cut = None

    def _ending(self) -> type[Ended] | None:
        # The watchdog may be a moment late; the clock decides.
        if self.remaining() == 0:
            self._end(TimedOut)
        return self._reason

    def _end(self, reason: type[Ended], *, unless_billed: bool = False) -> None:
        with self._lock:
            billed = self.sent and (self.kept or not self._free_cancel)
            if self._reason is not None or (unless_billed and billed):
                return
            self._reason = reason
            self._over.set()
            if self._cut is not None:
                self._cut()
