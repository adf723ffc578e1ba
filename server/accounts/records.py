"""The usage records themselves, a page at a time: what was asked for, how it ended, its cost."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, select, tuple_

from server.accounts.schema import edits
from server.accounts.store import Store
from server.domain import EditError, Situation

_TOKEN = re.compile(r"([0-9a-f]{16}) (\d{1,18}) ([0-9a-f-]{36})")


@dataclass(frozen=True, slots=True)
class Part:
    """Which edits are meant: those that fit all that is not `None`.

    They were begun from `since` on and before `until`, in Unix milliseconds. `outcomes` are as
    the column has them: "" for edits under way, "delivered", "lost" or a Situation's value.
    """

    since: int | None = None
    until: int | None = None
    account_id: str | None = None
    key_id: str | None = None
    model: str | None = None
    user: str | None = None
    outcomes: tuple[str, ...] | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return what the rows of `edits` must fulfil."""
        wanted = [
            edits.c[name] == value
            for name in ("account_id", "key_id", "model", "user")
            if (value := getattr(self, name)) is not None
        ]
        if self.since is not None:
            wanted.append(edits.c.created >= self.since)
        if self.until is not None:
            wanted.append(edits.c.created < self.until)
        if self.outcomes is not None:
            wanted.append(edits.c.outcome.in_(self.outcomes))
        return wanted


EVERYTHING = Part()


@dataclass(frozen=True, slots=True)
class Record:
    """One edit; times are Unix milliseconds, `upstream_ms` milliseconds, `cost` nano-dollars."""

    id: str
    created: int
    ended: int | None
    upstream_ms: int
    model: str
    user: str
    key_id: str
    outcome: str
    message: str
    input_tokens: int
    input_text_tokens: int
    output_tokens: int
    cost: int
    mask_method: str


_COLUMNS = [edits.c[name] for name in Record.__dataclass_fields__]
_ORDER = tuple_(edits.c.created, edits.c.id)


def page(
    store: Store, part: Part, size: int, token: str, asked: object
) -> tuple[list[Record], str]:
    """Return up to `size` records, the latest first, and the next page's token, "" at the end.

    `token` is "" for the first page. `asked` is what the caller asked for: a token is good for
    the same question alone. Raises `EditError` (BAD_REQUEST) for another token.
    """
    conditions = []
    if token:
        created, edit_id = _read(token, asked)
        conditions.append(tuple_(created, edit_id) > _ORDER)
        # Said once more, in words that lead a database into its index at this place.
        part = replace(part, until=created + 1)
    # One more than wanted tells whether there is a next page.
    statement = select(*_COLUMNS).where(*part.conditions(), *conditions)
    statement = statement.order_by(edits.c.created.desc(), edits.c.id.desc()).limit(size + 1)
    with store.read() as connection:
        found = [Record(*row) for row in connection.execute(statement)]
    more = len(found) > size
    return found[:size], _token(found[size - 1], asked) if more else ""


def _digest(asked: object) -> str:
    return hashlib.sha256(repr(asked).encode()).hexdigest()[:16]


def _token(last: Record, asked: object) -> str:
    text = f"{_digest(asked)} {last.created} {last.id}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read(token: str, asked: object) -> tuple[int, str]:
    """Return the time and the id of the record that the token's page begins after."""
    try:
        text = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode("ascii")
    except ValueError:
        text = ""
    match = _TOKEN.fullmatch(text)
    if match is None or match[1] != _digest(asked):
        raise EditError(
            Situation.BAD_REQUEST,
            "page_token must be the next_page_token of an answer to the same question.",
            field="page_token",
        )
    return int(match[2]), match[3]
