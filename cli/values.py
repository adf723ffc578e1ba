"""What people type and read at the admin commands: dollars, spans of time and moments."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal

import click

from cli.database import clock

NANO = 10**9
MOST_DOLLARS = 100_000_000
_UNITS_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_DOLLARS = re.compile(r"-?[0-9]{1,10}(\.[0-9]{1,9})?")
_SPAN = re.compile(r"([0-9]{1,6})([smhdw])")


class Dollars(click.ParamType[int]):
    """US dollars in decimals, exact; becomes nano-dollars."""

    name = "dollars"

    def __init__(self, *, negative: bool = False) -> None:
        self._least = -MOST_DOLLARS * NANO if negative else 0

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Return nano-dollars."""
        if isinstance(value, int):
            return value
        text = str(value)
        # At most 19 digits: the product is exact.
        nanos = int(Decimal(text) * NANO) if _DOLLARS.fullmatch(text) else None
        if nanos is None or not self._least <= nanos <= MOST_DOLLARS * NANO:
            self.fail(f'"{text}" must be US dollars, such as 10.00', param, ctx)
        return nanos


class Span(click.ParamType[int]):
    """A span of time such as 90s, 15m, 24h, 30d, 2w; becomes milliseconds."""

    name = "span"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Return milliseconds."""
        if isinstance(value, int):
            return value
        match = _SPAN.fullmatch(str(value))
        if match is None:
            self.fail(f'"{value}" must be a span of time, such as 30m, 24h or 7d', param, ctx)
        return int(match[1]) * _UNITS_MS[match[2]]


class Moment(click.ParamType[int]):
    """A day such as 2027-01-31, meant to its end in UTC, or a span from now; Unix milliseconds."""

    name = "moment"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Return Unix milliseconds."""
        if isinstance(value, int):
            return value
        text = str(value)
        if _SPAN.fullmatch(text):
            return clock() + Span().convert(text, param, ctx)
        try:
            day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
        except ValueError:
            self.fail(f'"{text}" must be a day (2027-01-31) or a span (30d)', param, ctx)
        moment = int(day.timestamp()) * 1_000 + _UNITS_MS["d"]
        if moment <= clock():
            self.fail(f'"{text}" is over', param, ctx)
        return moment


def show_dollars(nanos: int) -> str:
    """Return nano-dollars as people read them, exact: "$10.00", "-$0.000001"."""
    whole, rest = divmod(abs(nanos), NANO)
    decimals = f"{rest:09}".rstrip("0").ljust(2, "0")
    return f"{'-' if nanos < 0 else ''}${whole:,}.{decimals}"


def show_moment(moment: int) -> str:
    """Return Unix milliseconds as people read them, in UTC."""
    return datetime.fromtimestamp(moment // 1_000, UTC).strftime("%Y-%m-%d %H:%M")


def shown_text(value: str) -> str:
    """Return a text from elsewhere so that it can't steer the terminal that shows it."""
    return "".join(character if character.isprintable() else "�" for character in value)
