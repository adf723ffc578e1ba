"""`imageedit usage`: what was edited and what it cost, as a table or CSV."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import click

from cli.database import database
from cli.values import shown_text
from server.accounts.records import Part
from server.accounts.usage import By, Line, Sums, report, total

HEAD = ("edits", "delivered", "failed", "input_tokens", "output_tokens", "cost", "loss")
DATE = click.DateTime(["%Y-%m-%d"])
WIDEST = 60


@click.command()
@click.option(
    "--by",
    type=click.Choice([one.value for one in By]),
    default=By.DAY.value,
    show_default=True,
    help="What one line stands for; days are UTC.",
)
@click.option("--since", type=DATE, metavar="DATE", help="The first day, YYYY-MM-DD in UTC.")
@click.option("--until", type=DATE, metavar="DATE", help="The last day, YYYY-MM-DD in UTC.")
@click.option("--key", "key_id", help="This key's edits alone, by its id (`imageedit keys list`).")
@click.option("--csv", "as_csv", is_flag=True, help="CSV with a head, without a total.")
def usage(
    *,
    by: str,
    since: datetime | None,
    until: datetime | None,
    key_id: str | None,
    as_csv: bool,
) -> None:
    """Sum up edits: how many, their tokens, what customers paid and what was lost, in US dollars.

    \b
    imageedit usage --by key --since 2026-11-01 --until 2026-11-30
    imageedit usage --by user --key KEY_ID --csv > users.csv
    """
    with database() as store:
        part = Part(
            since=None if since is None else _milliseconds(since),
            until=None if until is None else _milliseconds(until + timedelta(days=1)),
            key_id=key_id,
        )
        lines = report(store, By(by), part)
    if as_csv:
        _write_csv(by, lines)
    else:
        _write_table(by, lines)


def dollars(nanos: int) -> str:
    """Return nano-dollars as US dollars with all nine decimals."""
    return f"{Decimal(nanos).scaleb(-9):.9f}"


def _milliseconds(day: datetime) -> int:
    return (day.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def _figures(sums: Sums) -> list[str]:
    counts = (sums.edits, sums.delivered, sums.failed, sums.input_tokens, sums.output_tokens)
    return [*map(str, counts), dollars(sums.cost), dollars(sums.loss)]


def _write_csv(by: str, lines: Sequence[Line]) -> None:
    named = by == By.KEY
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([by, *(["name"] if named else []), *HEAD])
    for line in lines:
        writer.writerow([line.of, *([line.name] if named else []), *_figures(line.sums)])


def _write_table(by: str, lines: Sequence[Line]) -> None:
    rows = [[by, *(name.replace("_tokens", "") for name in HEAD)]]
    rows += [[_shown(line), *_figures(line.sums)] for line in lines]
    rows.append(["total", *_figures(total(lines))])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *rest in rows:
        cells = (cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True))
        click.echo("  ".join((first.ljust(widths[0]), *cells)))


def _shown(line: Line) -> str:
    """Return what a line stands for; a `user` is the caller's text, and may hold anything."""
    text = shown_text(f"{line.of} {line.name}".rstrip()) or "-"
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"
