"""Reports of what was done and paid: sums over the edits, by key, user, model, day or outcome."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import date, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, case, func, literal_column, select

from server.accounts.records import EVERYTHING, Part
from server.accounts.schema import edits, keys
from server.accounts.store import Store

DAY_MS = 86_400_000


class By(StrEnum):
    """What one line of a report stands for."""

    KEY = "key"
    USER = "user"
    MODEL = "model"
    DAY = "day"
    OUTCOME = "outcome"


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
    """A line of a report: a key's id, a `user`, a model's alias, a day or an outcome.

    A day is "YYYY-MM-DD" in UTC, an outcome is as in `Part`. `name` is that of the key, in reports
    by key.
    """

    of: str
    name: str
    sums: Sums


_FIGURES = [field.name for field in fields(Sums)]
_GROUPS: dict[By, tuple[ColumnElement[object], ...]] = {
    By.KEY: (edits.c.key_id, keys.c.name),
    By.USER: (edits.c.user,),
    By.MODEL: (edits.c.model,),
    # A number in the statement itself: with parameters, PostgreSQL takes what is selected and what
    # is grouped by for two expressions.
    By.OUTCOME: (edits.c.outcome,),
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
    store: Store, by: By, part: Part = EVERYTHING, *, dearest: int | None = None
) -> list[Line]:
    """Return the lines of a report over a part of the edits, in the order of what they stand for.

    Where `dearest` is given, only so many lines, and those that cost most, the dearest first.
    """
    group = _GROUPS[by]
    source = edits.join(keys, edits.c.key_id == keys.c.id) if by is By.KEY else edits
    statement = select(*group, *_SUMS).select_from(source).group_by(*group)
    statement = statement.where(*part.conditions())
    if dearest is not None:
        statement = statement.order_by(func.sum(edits.c.cost).desc(), func.count().desc(), *group)
        statement = statement.limit(dearest)
    with store.read() as connection:
        rows = [tuple(row) for row in connection.execute(statement)]
    lines = [_line(by, row, len(group)) for row in rows]
    # Sorted here, since databases differ in their order of texts.
    return lines if dearest is not None else sorted(lines, key=lambda line: line.of)


@dataclass(frozen=True, slots=True)
class Summary:
    """A part of the edits summed up in every way; `others` are the users who have no line."""

    total: Sums
    days: list[Line]
    models: list[Line]
    users: list[Line]
    others: Sums
    outcomes: list[Line]


def summary(store: Store, part: Part, *, users: int) -> Summary:
    """Return the sums over a part: models and at most so many `users`, the dearest first."""
    by = (By.DAY, By.MODEL, By.OUTCOME)
    group = [column for one in by for column in _GROUPS[one]]
    # Read once for all of them, for that is what takes its time; users may be too many for it.
    statement = select(*group, *_SUMS).group_by(*group).where(*part.conditions())
    with store.read() as connection:
        rows = [tuple(row) for row in connection.execute(statement)]
    lines: dict[By, dict[str, Sums]] = {one: {} for one in by}
    for row in rows:
        for place, one in enumerate(by):
            line = _line(one, (row[place], *row[len(by) :]), 1)
            lines[one][line.of] = _sum([lines[one].get(line.of, Sums()), line.sums])
    named = {one: [Line(of, "", sums) for of, sums in sorted(lines[one].items())] for one in by}
    whole = total(named[By.DAY])
    dearest = report(store, By.USER, part, dearest=users)
    return Summary(
        whole,
        named[By.DAY],
        sorted(named[By.MODEL], key=lambda line: -line.sums.cost),
        dearest,
        _rest(whole, total(dearest)),
        named[By.OUTCOME],
    )


def total(lines: Iterable[Line]) -> Sums:
    """Return what all lines come to."""
    return _sum([line.sums for line in lines])


def _sum(listed: Sequence[Sums]) -> Sums:
    return Sums(*(sum(getattr(sums, column) for sums in listed) for column in _FIGURES))


def _rest(whole: Sums, part: Sums) -> Sums:
    """Return what is left; an edit that came in between the two questions leaves no less than 0."""
    return Sums(*(max(0, getattr(whole, one) - getattr(part, one)) for one in _FIGURES))


def _line(by: By, row: tuple[Any, ...], width: int) -> Line:
    """Return the line of a row: `width` columns of what it stands for, then the sums."""
    of, *name = row[:width]
    sums = Sums(*map(int, row[width:]))  # PostgreSQL sums 64-bit integers as numerics
    if by is By.DAY:
        return Line((date(1970, 1, 1) + timedelta(days=of)).isoformat(), "", sums)
    return Line(of, "".join(name), sums)
