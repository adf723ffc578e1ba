"""How an edit ends: its state, its usage record and its money move together, once."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Update, bindparam, or_, select, update

from server.accounts import journal
from server.accounts.schema import accounts, edits, keys
from server.domain import Tokens


@dataclass(frozen=True, slots=True)
class Ending:
    """What the usage record says of an edit that ended.

    `outcome` is "delivered", "lost" (its service died) or a Situation's value; `message` and
    `field` are those of its error; `upstream_ms` is the time upstreams took, in milliseconds.
    """

    outcome: str
    message: str = ""
    field: str | None = None
    route: str = ""
    attempts: int = 0
    upstream_ms: int = 0
    tokens: Tokens = Tokens()
    mask_method: str = ""


@dataclass(frozen=True, slots=True)
class Transition:
    """A way to end: the event's kind, the state it leads to, and where a loss is booked."""

    kind: str
    state: str
    loss: str
    statement: Update


def _transition(kind: str, state: str, loss: str, *sources: str) -> Transition:
    # The owner is part of the condition: an edit that was swept is not its first owner's any more.
    statement = update(edits).where(
        edits.c.id == bindparam("edit"),
        edits.c.owner == bindparam("by"),
        or_(*(edits.c.state == source for source in sources)),
    )
    return Transition(kind, state, loss, statement)


POST = _transition("post", "posted", journal.LOSS_OVERRUN, "submitted")
VOID = _transition("void", "voided", journal.LOSS_UNKNOWN_OUTCOME, "held", "submitted")
UNKNOWN = _transition("unknown", "unknown", journal.LOSS_UNKNOWN_OUTCOME, "submitted")
# What a sweeper may do to an edit that nothing was sent of; its owner may send at this moment.
LAPSE = _transition("void", "voided", journal.LOSS_UNKNOWN_OUTCOME, "held")

_FIND = select(edits.c.account_id, edits.c.key_id, edits.c.hold).where(
    edits.c.id == bindparam("edit")
)
_KEY = (
    update(keys)
    .where(keys.c.id == bindparam("key"))
    .values(
        held=keys.c.held - bindparam("hold"),
        active=keys.c.active - 1,
        spent=keys.c.spent + bindparam("charge"),
    )
)
_ACCOUNT = (
    update(accounts)
    .where(accounts.c.id == bindparam("account"))
    .values(
        held=accounts.c.held - bindparam("hold"), posted=accounts.c.posted - bindparam("charge")
    )
)


def end(
    connection: Connection,
    transition: Transition,
    edit_id: str,
    ending: Ending,
    *,
    owner: str,
    event_id: str,
    now: int,
    cost: int = 0,
    loss: int = 0,
) -> int | None:
    """End an edit of `owner`; return the nano-dollars charged, `cost` up to the hold.

    What `cost` exceeds the hold by, and `loss`, the operator bears. `None`, and nothing changed,
    when the edit is not `owner`'s or not in a state that the transition starts from.
    """
    found = connection.execute(_FIND, {"edit": edit_id}).first()  # of columns that never change
    if found is None:
        return None
    account_id, key_id, hold = found
    charge: int = min(cost, hold)
    loss += cost - charge
    changed = {
        "state": transition.state,
        "ended": now,
        "cost": charge,
        "loss": loss,
        **record(ending),
    }
    guard = {"edit": edit_id, "by": owner}
    if connection.execute(transition.statement, guard | changed).rowcount == 0:
        return None
    connection.execute(_KEY, {"key": key_id, "hold": hold, "charge": charge})
    connection.execute(_ACCOUNT, {"account": account_id, "hold": hold, "charge": charge})
    journal.book(
        connection,
        journal.Event(event_id, transition.kind, now, edit_id),
        {
            journal.held(account_id): -hold,
            journal.customer(account_id): hold - charge,
            journal.REVENUE: charge,
            transition.loss: loss,
            journal.PAYABLE: -loss,
        },
    )
    return charge


def record(ending: Ending) -> dict[str, str | int | None]:
    """Return an ending as columns of the usage record."""
    return {
        "outcome": ending.outcome,
        "message": ending.message,
        "field": ending.field,
        "route": ending.route,
        "attempts": ending.attempts,
        "upstream_ms": ending.upstream_ms,
        "input_tokens": ending.tokens.input,
        "input_text_tokens": ending.tokens.input_text,
        "output_tokens": ending.tokens.output,
        "mask_method": ending.mask_method,
    }
