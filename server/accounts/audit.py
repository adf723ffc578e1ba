"""The audit: whether the journal, the edits and the sums beside them tell one story.

What is expected is worked out here anew, from the rows alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from sqlalchemy import BigInteger, Connection, Row, Select, case, cast, distinct, func, or_, select

from server.accounts.schema import accounts, edits, entries, keys, results
from server.accounts.store import Store

_LIVE = or_(edits.c.state == "held", edits.c.state == "submitted")
_ENDS = {"posted": "post", "voided": "void", "unknown": "unknown"}


def audit(store: Store) -> list[str]:
    """Return a sentence for everything that does not agree; nothing when all is well.

    Reads one moment of the database, also while edits run.
    """
    with store.read() as connection:
        if not store.embedded:  # where a transaction sees one moment by itself
            connection.execution_options(isolation_level="REPEATABLE READ")
        return [
            *_events(connection),
            *_edits(connection),
            *_accounts(connection),
            *_keys(connection),
            *_results(connection),
        ]


def _total(column: Any) -> Any:
    return cast(func.coalesce(func.sum(column), 0), BigInteger)


def _events(connection: Connection) -> Iterator[str]:
    unbalanced = (
        select(entries.c.event, _total(entries.c.amount).label("total"))
        .group_by(entries.c.event)
        .having(func.sum(entries.c.amount) != 0)
    )
    for row in connection.execute(unbalanced):
        yield f"The entries of event {row.event} sum to {row.total}, not to 0."
    unknown = (
        select(entries.c.id, entries.c.kind)
        .outerjoin(edits, edits.c.id == entries.c.edit_id)
        .where(edits.c.id.is_(None), entries.c.kind != "top_up")
    )
    for row in connection.execute(unknown):
        yield f"Entry {row.id} is a {row.kind} of no edit that is known."
    stray = select(entries.c.id, entries.c.edit_id).where(
        entries.c.kind == "top_up",
        or_(
            entries.c.edit_id.is_not(None),
            ~or_(entries.c.account == "funding", entries.c.account.like("customer:%")),
        ),
    )
    for row in connection.execute(stray):
        yield f"Entry {row.id} is a top-up that touches more than a customer and the funding."


def _edits(connection: Connection) -> Iterator[str]:
    booked = (
        select(
            edits,
            entries.c.kind,
            entries.c.account,
            _total(entries.c.amount).label("total"),
            func.count(distinct(entries.c.event)).label("events"),
        )
        .outerjoin(entries, entries.c.edit_id == edits.c.id)
        .group_by(*edits.c, entries.c.kind, entries.c.account)
        .order_by(edits.c.id)
    )
    rows = connection.execute(booked, execution_options={"yield_per": 1000})
    for _, lines in groupby(rows, key=lambda row: row.id):
        yield from _edit(list(lines))


def _edit(lines: list[Row[Any]]) -> Iterator[str]:
    edit = lines[0]
    name = f"Edit {edit.id} is {edit.state}"
    found = {(row.kind, row.account): row.total for row in lines if row.kind is not None}
    expected = _expected(edit)
    for kind, account in sorted(found.keys() | expected.keys()):
        booked, due = found.get((kind, account), 0), expected.get((kind, account), 0)
        if booked != due:
            yield f"{name}, and its {kind} has {booked} on {account}, not {due}."
    ends = {row.kind for row in lines} & set(_ENDS.values())
    if len(ends) > 1 or any(row.events > 1 for row in lines):
        yield f"{name}, and it was booked more than once."
    ended = edit.state in _ENDS
    if ended != (edit.ended is not None):
        yield f"{name}, and its end is {edit.ended}."
    if (edit.submitted is None) and edit.state in {"submitted", "posted", "unknown"}:
        yield f"{name}, and was never submitted."
    if not 0 <= edit.cost <= edit.hold or (edit.cost and edit.state != "posted"):
        yield f"{name} with a hold of {edit.hold}, and its cost is {edit.cost}."
    if edit.loss < 0 or (edit.loss and edit.state not in {"posted", "unknown"}):
        yield f"{name}, and its loss is {edit.loss}."


def _expected(edit: Row[Any]) -> dict[tuple[str, str], int]:
    """Return what the journal must have of an edit: nano-dollars by kind and ledger account."""
    customer, held = f"customer:{edit.account_id}", f"held:{edit.account_id}"
    amounts = {("hold", customer): -edit.hold, ("hold", held): edit.hold}
    if edit.state in _ENDS:
        kind = _ENDS[edit.state]
        loss = "loss_overrun" if kind == "post" else "loss_unknown_outcome"
        amounts |= {
            (kind, held): -edit.hold,
            (kind, customer): edit.hold - edit.cost,
            (kind, "revenue"): edit.cost,
            (kind, loss): edit.loss,
            (kind, "payable"): -edit.loss,
        }
    return {line: amount for line, amount in amounts.items() if amount}


def _accounts(connection: Connection) -> Iterator[str]:
    sums = select(entries.c.account, _total(entries.c.amount)).group_by(entries.c.account)
    totals: dict[str, int] = dict(connection.execute(sums).all())
    for row in connection.execute(select(accounts)):
        free = totals.pop(f"customer:{row.id}", 0)
        held = totals.pop(f"held:{row.id}", 0)
        if row.posted != free + held:
            yield f"Account {row.id} has {row.posted} posted, its entries say {free + held}."
        if row.held != held:
            yield f"Account {row.id} has {row.held} held, its entries say {held}."
        if row.posted - row.held < 0:
            yield f"Account {row.id} has {row.posted} posted and {row.held} held: overspent."
    for name in sorted(totals):
        if name.startswith(("customer:", "held:")):
            yield f"The journal has {name}, and there is no such account."


def _keys(connection: Connection) -> Iterator[str]:
    kept: Select[Any] = (
        select(
            keys,
            _total(case((_LIVE, edits.c.hold), else_=0)).label("is_held"),
            _total(case((_LIVE, 1), else_=0)).label("is_active"),
            _total(edits.c.cost).label("is_spent"),
        )
        .outerjoin(edits, edits.c.key_id == keys.c.id)
        .group_by(*keys.c)
    )
    for row in connection.execute(kept):
        for name in ("held", "active", "spent"):
            told, found = getattr(row, name), getattr(row, f"is_{name}")
            if told != found:
                yield f"Key {row.id} has {told} {name}, its edits say {found}."
        if row.spend_limit is not None and row.spent + row.held > row.spend_limit:
            yield f"Key {row.id} is over its spending limit of {row.spend_limit}."


def _results(connection: Connection) -> Iterator[str]:
    stray = (
        select(results.c.edit_id, edits.c.state)
        .outerjoin(edits, edits.c.id == results.c.edit_id)
        .where(or_(edits.c.id.is_(None), edits.c.state != "posted"))
    )
    for row in connection.execute(stray):
        yield f"A result is kept of edit {row.edit_id}, which is {row.state or 'not known'}."
