"""Edits that go on by themselves: of their callers nothing is left but the wish for an end."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from server.accounts.operations import Operations
from server.accounts.originals import Attached
from server.callers import ToldCaller
from server.calls import Call, current
from server.domain import EditError, Picture
from server.status import CODES, reason_name

logger = logging.getLogger("imageedit.service")


class Carried:
    """The edits that go on by themselves in this process, by their ids."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations
        self._callers: dict[str, DetachedCaller] = {}

    @contextmanager
    def holding(self, edit_id: str, caller: DetachedCaller) -> Iterator[None]:
        """Know the edit's caller inside the block."""
        self._callers[edit_id] = caller
        try:
            yield
        finally:
            del self._callers[edit_id]

    def end(self, edit_id: str) -> None:
        """Ask for the end of an edit, if it is carried here."""
        caller = self._callers.get(edit_id)
        if caller is not None:
            caller.leave()

    def end_cancelled(self) -> None:
        """Ask for the end of the edits that were cancelled anywhere.

        Raises `EditError` when the database can't be used.
        """
        mine = list(self._callers)
        for edit_id in self._operations.cancelled(mine) if mine else ():
            self.end(edit_id)


class DetachedCaller(ToldCaller):
    """The caller of an edit that goes on by itself: it leaves only by asking for the end.

    `call` is the edit's own. Its time, `patience` seconds, begins once more when it is accepted.
    """

    cancels = True

    def __init__(self, call: Call, patience: float, carried: Carried) -> None:
        super().__init__(call, patience)
        self._patience = patience
        self._carried = carried
        self._lock = threading.Lock()
        self._left = False
        self._callbacks: list[Callable[[], None]] = []

    def left(self) -> bool:
        """Tell whether its end was asked for."""
        return self._left

    def on_leave(self, callback: Callable[[], None]) -> None:
        """Have `callback` called when its end is asked for, at once if it was."""
        with self._lock:
            self._callbacks.append(callback)
            left = self._left
        if left:
            callback()

    def leave(self) -> None:
        """Ask for the end."""
        with self._lock:
            self._left, callbacks = True, self._callbacks.copy()
        for callback in callbacks:
            callback()

    def waits_for(self, edit_id: str) -> None:
        """Wait for nothing: raises `Attached`."""
        raise Attached(edit_id)

    def accepted(self, model: str) -> None:
        """Note that the edit passed every check, and tell who starts it."""
        self._until = time.monotonic() + self._patience
        self.awaited = False
        super().accepted(model)

    def partial(self, index: int, picture: Picture, *, transparent: bool) -> None:
        """Pass over what nobody asked for."""

    @contextmanager
    def carried(self) -> Iterator[None]:
        """Be known while the edit is carried; then write its line, and what nobody expected."""
        current.set(self._call)  # in the context of this thread alone
        code = "INTERNAL"
        try:
            with self._carried.holding(self._call.request_id, self):
                yield
            code = "OK"
        except EditError as error:
            code = CODES[error.situation][0].name
            self._call.facts |= {"reason": reason_name(error.situation), "field": error.field}
            raise
        except Exception:
            if not self.awaited:  # else the call that starts it tells
                line = {"event": "bug", "request_id": self._call.request_id}
                logger.exception("bug", extra={"line": line})
            raise
        finally:
            self._callbacks.clear()  # they know the attempts, and so the pictures
            if not self.awaited:
                self._call.log(code, "operation")
