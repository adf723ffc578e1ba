"""Resolves the edits that a dead instance of the service left behind: nothing stays held."""

from __future__ import annotations

import logging
from collections.abc import Callable

from sqlalchemy import bindparam, or_, select

from server.accounts import endings
from server.accounts.endings import Ending
from server.accounts.schema import edits, instances
from server.accounts.store import Store

logger = logging.getLogger("imageedit.accounts")

DEAD_AFTER_MS = 4_000
# The last net, for an edit whose own living instance could not end it: longer than any edit takes.
HOLD_TTL_MS = 3_600_000

NOT_SENT = Ending(
    "lost", "The service stopped before the edit was sent; nothing was charged. Send it again."
)
MAYBE_SENT = Ending(
    "lost", "The service stopped while the edit was under way; nothing was charged. Send it again."
)

# One from the future is none either: a clock that was set back must not keep the dead alive.
_ALIVE = select(instances.c.id).where(
    instances.c.heartbeat.between(bindparam("since"), bindparam("until"))
)
_ORPHANS = select(edits.c.id, edits.c.owner, edits.c.state, edits.c.hold).where(
    edits.c.ended.is_(None),
    or_(edits.c.owner.not_in(_ALIVE), edits.c.created < bindparam("oldest")),
)


def sweep(
    store: Store,
    clock: Callable[[], int],
    new_id: Callable[[], str],
    *,
    dead_after_ms: int = DEAD_AFTER_MS,
    hold_ttl_ms: int = HOLD_TTL_MS,
) -> int:
    """End the edits of instances without a heartbeat for `dead_after_ms`; return how many.

    Also ends edits older than `hold_ttl_ms`, whoever has them. Nobody is charged. Sweepers may run
    at once, and an owner may come back: each edit ends once, and the other learns that it had.
    The clocks of hosts that share a database must agree within a second or two.
    """
    now = clock()
    window = {"since": now - dead_after_ms + 1, "until": now + dead_after_ms}
    with store.read() as connection:
        orphans = connection.execute(_ORPHANS, {**window, "oldest": now - hold_ttl_ms}).all()
    resolved = 0
    for orphan in orphans:
        submitted = orphan.state == "submitted"
        # What the upstream bills is not known; the hold is the most that it can be.
        loss = orphan.hold if submitted else 0
        with store.write() as connection:
            ended = endings.end(
                connection,
                endings.UNKNOWN if submitted else endings.LAPSE,
                orphan.id,
                MAYBE_SENT if submitted else NOT_SENT,
                owner=orphan.owner,
                event_id=new_id(),
                now=now,
                loss=loss,
            )
        if ended is not None:
            resolved += 1
            store.tally.add(swept=1, lost=loss)
            line = {"event": "swept", "edit_id": orphan.id, "was": orphan.state}
            logger.warning("swept", extra={"line": line})
    return resolved
