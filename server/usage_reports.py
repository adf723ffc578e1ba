"""What the holder of a key may ask of usage: its account's edits, so many at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from imageedit.v1 import image_edit_pb2 as pb
from server import usage_messages
from server.accounts.keys import Key
from server.accounts.records import page
from server.accounts.store import Store
from server.accounts.usage import summary
from server.domain import EditError, Situation
from server.fair_share import FairShare

USUAL_PAGE = 50
LARGEST_PAGE = 1_000
MOST_USERS = 100
AT_A_TIME = 4  # a year of a busy account takes the database a second, and edits need it too


class UsageReports:
    """Answers about the edits in `store`; `clock` returns Unix milliseconds."""

    def __init__(self, store: Store, clock: Callable[[], int]) -> None:
        self._store = store
        self._clock = clock
        self._places = FairShare(AT_A_TIME)
        self._lock = threading.Lock()

    def list_edits(self, request: pb.ListEditsRequest, key: Key) -> pb.ListEditsResponse:
        """Return a page of edits; raises `EditError` (BAD_REQUEST, LIMITED)."""
        if request.page_size < 0:
            raise EditError(
                Situation.BAD_REQUEST, "page_size must not be negative.", field="page_size"
            )
        part = usage_messages.part(request.filter, key.account_id, self._clock())
        size = min(request.page_size or USUAL_PAGE, LARGEST_PAGE)
        asked = (key.account_id, request.filter.SerializeToString(deterministic=True))
        with self._place(key):
            found, token = page(self._store, part, size, request.page_token, asked)
        return pb.ListEditsResponse(
            edits=[usage_messages.record(one) for one in found], next_page_token=token
        )

    def summarize(self, request: pb.SummarizeUsageRequest, key: Key) -> pb.SummarizeUsageResponse:
        """Return the sums over edits; raises `EditError` (BAD_REQUEST, LIMITED)."""
        part = usage_messages.part(request.filter, key.account_id, self._clock())
        with self._place(key):
            found = summary(self._store, part, users=MOST_USERS)
        return usage_messages.summary(found, part)

    @contextmanager
    def _place(self, key: Key) -> Iterator[None]:
        """Be one of few who ask the database for much; raises `EditError` (LIMITED)."""
        with self._lock:
            taken = self._places.take(key.account_id)
        if not taken:
            raise EditError(
                Situation.LIMITED,
                "Too many questions about usage at a time; ask again in a moment.",
                retry_after=1,
            )
        try:
            yield
        finally:
            with self._lock:
                self._places.give(key.account_id)
