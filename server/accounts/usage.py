"""Reports of what was done and paid: sums over the edits, by key, user, model or day."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import date, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, case, func, literal_column, select

from server.accounts.schema import edits, keys
from server.accounts.store import Store

DAY_MS = 86_400_000


class By(StrEnum):
    """What one line of a report stands for."""

    KEY = "key"
    USER = "user"
    MODEL = "model"
    DAY = "day"


@dataclass(frozen=True, slots=True)
class Sums:
    """What the edits of one line come to; money in nano-dollars.

    Of `edits`, some are neither `delivered` nor `failed`: those under way.
    """

    edits: int = 0
    delivered: int = 0
    failed: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: int = 0
    loss: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a report: a key's id, a `user`, a model's alias, or a day (UTC, "YYYY-MM-DD").

    `name` is that of the key, in reports by key.
    """

    of: str
    name: str
    sums: Sums


_GROUPS: dict[By, tuple[ColumnElement[object], ...]] = {
    By.KEY: (edits.c.key_id, keys.c.name),
    By.USER: (edits.c.user,),
    By.MODEL: (edits.c.model,),
    # A number in the statement itself: with parameters, PostgreSQL takes what is selected and what
    # is grouped by for two expressions.
    By.DAY: (edits.c.created // literal_column(str(DAY_MS), edits.c.created.type),),
}
_SUMS: tuple[ColumnElement[int], ...] = (
    func.count(),
    func.sum(case((edits.c.outcome == "delivered", 1), else_=0)),
    func.sum(case((edits.c.outcome.not_in(["", "delivered"]), 1), else_=0)),
    func.sum(edits.c.input_tokens),
    func.sum(edits.c.output_tokens),
    func.sum(edits.c.cost),
    func.sum(edits.c.loss),
)


def report(
    store: Store,
    by: By,
    *,
    since: int | None = None,
    until: int | None = None,
    key_id: str | None = None,
) -> list[Line]:
    """Return the lines of a report, in the order of what they stand for.

    It counts edits that were begun from `since` on and before `until`, in Unix milliseconds, and
    those of the key `key_id` alone where one is given.
    """
    group = _GROUPS[by]
    source = edits.join(keys, edits.c.key_id == keys.c.id) if by is By.KEY else edits
    statement = select(*group, *_SUMS).select_from(source).group_by(*group)
    if since is not None:
        statement = statement.where(edits.c.created >= since)
    if until is not None:
        statement = statement.where(edits.c.created < until)
    if key_id is not None:
        statement = statement.where(edits.c.key_id == key_id)
    with store.read() as connection:
        rows = [tuple(row) for row in connection.execute(statement)]
    # Sorted here, since databases differ in their order of texts.
    return sorted((_line(by, row, len(group)) for row in rows), key=lambda line: line.of)


def total(lines: Iterable[Line]) -> Sums:
    """Return what all lines come to."""
    columns = [field.name for field in fields(Sums)]
    listed = [line.sums for line in lines]
    return Sums(*(sum(getattr(sums, column) for sums in listed) for column in columns))


def _line(by: By, row: tuple[Any, ...], width: int) -> Line:
    """Return the line of a row: `width` columns of what it stands for, then the sums."""
    of, *name = row[:width]
    sums = Sums(*map(int, row[width:]))  # PostgreSQL sums 64-bit integers as numerics
    if by is By.DAY:
        return Line((date(1970, 1, 1) + timedelta(days=of)).isoformat(), "", sums)
    return Line(of, "".join(name), sums)
