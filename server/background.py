"""What goes on beside the calls: telling that the service lives, and ending what was left."""

from __future__ import annotations

from collections.abc import Callable

from server.accounts.desk import Desk
from server.accounts.housekeeping import Housekeeping
from server.accounts.instances import Heart
from server.accounts.store import Store
from server.detached import Carried

LONGEST_EDIT_MS = 900_000


class Background:
    """The threads that keep the accounts of the running service `owner`, until closed.

    Holds of the living are swept after three times `attempt_timeout` (seconds), at the earliest
    after `LONGEST_EDIT_MS`. `clock` returns Unix milliseconds, `new_id` a fresh UUID.
    """

    def __init__(
        self,
        store: Store,
        desk: Desk,
        carried: Carried,
        *,
        owner: str,
        attempt_timeout: float,
        clock: Callable[[], int],
        new_id: Callable[[], str],
    ) -> None:
        def each_second() -> None:
            desk.ledger.finish_what_is_left()
            carried.end_cancelled()

        self._heart = Heart(
            store,
            owner=owner,
            clock=clock,
            new_id=new_id,
            hold_ttl_ms=max(LONGEST_EDIT_MS, 3 * round(attempt_timeout * 1000)),
            finish=each_second,
        )
        self._housekeeping = Housekeeping(desk.results, clock)

    def start(self) -> None:
        """Begin; raises `EditError` when the database can't be used."""
        self._heart.start()
        self._housekeeping.start()

    def close(self) -> None:
        """Stop, and be known as gone."""
        self._housekeeping.close()
        self._heart.close()
