"""Edits that no row tells of: on their way to a hold, or told to come again before they had one."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from server.domain import EditError

PATIENCE_MS = 30_000
LONGEST_WAIT_MS = 70_000  # Retry-After is 60 s at the most
MOST_REFUSALS = 10_000

Asked = tuple[str, str]  # account, fingerprint


class Arrivals:
    """What this process knows of equal requests, so that a retry finds its own original.

    `clock` returns milliseconds. Other processes that share the database are not known: there a
    retry that overtakes its original's hold, or follows a refusal, is taken as it comes.
    """

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._under_way: Counter[Asked] = Counter()
        self._refused: deque[tuple[int, Asked]] = deque(maxlen=MOST_REFUSALS)
        self._refused_unread: deque[tuple[int, str]] = deque(maxlen=MOST_REFUSALS)
        self._attended: dict[str, Callable[[], bool]] = {}
        self._changed = threading.Condition()

    @contextmanager
    def arriving(self, asked: Asked) -> Iterator[None]:
        """Be waited for by equal retries inside the block, which ends with a hold or a refusal.

        A refusal that invites a repeat is remembered: the repeat is no retry of another edit.
        """
        with self._changed:
            self._under_way[asked] += 1
        comes_again = False
        try:
            yield
        except EditError as error:
            # Not the error itself: it would stay in its own traceback, with the pictures of frames.
            comes_again = error.retry_after is not None
            raise
        finally:
            with self._changed:
                if comes_again:
                    self._note(asked)
                self._under_way[asked] -= 1
                if not self._under_way[asked]:
                    del self._under_way[asked]
                self._changed.notify_all()

    def refused(self, asked: Asked) -> None:
        """Remember that a first attempt was told to come again."""
        with self._changed:
            self._note(asked)

    def _note(self, asked: Asked) -> None:
        self._refused.append((self._clock(), asked))

    def begins_anew(self, asked: Asked, left: Callable[[], bool]) -> bool:
        """Tell whether a retry is one of a request that was told to come again.

        Waits for equal requests that are on their way to a hold, as long as the caller is there.
        """
        until = self._clock() + PATIENCE_MS
        with self._changed:
            while asked in self._under_way and self._clock() < until and not left():
                self._changed.wait(timeout=1)
            oldest = self._clock() - LONGEST_WAIT_MS
            while self._refused and self._refused[0][0] < oldest:
                self._refused.popleft()
            for note in self._refused:
                if note[1] == asked:
                    self._refused.remove(note)
                    return True
        return False

    @contextmanager
    def refusing(self, account_id: str) -> Iterator[None]:
        """Remember a refusal inside the block, which comes before anyone read what is asked.

        Its repeat can't be told from a retry of another edit. So as long as it has not come, no
        retry of the account is given what seems delivered, or what its own caller still waits for.
        """
        try:
            yield
        except EditError as error:
            if error.retry_after is not None:
                with self._changed:
                    self._refused_unread.append((self._clock(), account_id))
            raise

    def was_refused(self, account_id: str) -> bool:
        """Tell whether a repeat of an unread request of the account is still to come."""
        oldest = self._clock() - LONGEST_WAIT_MS
        with self._changed:
            return any(at >= oldest and who == account_id for at, who in self._refused_unread)

    def came_again(self, account_id: str) -> None:
        """Note that such a repeat came."""
        with self._changed:
            for note in self._refused_unread:
                if note[1] == account_id:
                    self._refused_unread.remove(note)
                    return

    @contextmanager
    def attending(self, edit_id: str, left: Callable[[], bool]) -> Iterator[None]:
        """Know who waits for an edit inside the block; `left` tells whether that caller is gone."""
        with self._changed:
            self._attended[edit_id] = left
        try:
            yield
        finally:
            with self._changed:
                del self._attended[edit_id]

    def attended(self) -> list[str]:
        """Return the ids of the edits under way whose own callers are still there."""
        with self._changed:
            callers = list(self._attended.items())
        return [edit_id for edit_id, left in callers if not left()]
