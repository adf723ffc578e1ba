"""Reads JSON from a vendor without trusting its shape: nothing here raises.

Every function takes whatever is there and gives the wanted type, empty where it was another.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import cast

import orjson

from server.providers.long_strings import LONG, Encoded, NotApart, parsed_apart

MAX_COUNT = 2**31 - 1
MAX_VALUES = 100_000


def document(body: bytes | str) -> object:
    """Return what `body` holds as JSON (RFC 8259); `None` where it is none, or nested too deep.

    Also where it has more values than any answer: a parser would hold the whole process up.
    A long string of base64 is an `Encoded`, which `text` and `decoded` take as well.
    """
    if isinstance(body, bytes) and len(body) > LONG:
        with suppress(NotApart):
            return parsed_apart(body, MAX_VALUES)
    commas = body.count(",") if isinstance(body, str) else body.count(b",")
    if commas > MAX_VALUES:
        return None
    try:
        return cast("object", orjson.loads(body))
    except orjson.JSONDecodeError:
        return None


def table(value: object) -> Mapping[str, object]:
    """Return a JSON object, empty where it is another type."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[object]:
    """Return a JSON array, empty where it is another type."""
    return value if isinstance(value, list) else []


def first(value: object) -> object:
    """Return an array's first element, `None` where there is none."""
    return next(iter(items(value)), None)


def text(value: object) -> str:
    """Return a string, empty where it is another type."""
    return str(value) if isinstance(value, str | Encoded) else ""


def count(value: object) -> int:
    """Return a whole number from 0 to 2³¹-1, and 0 where it is anything else."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    return cast("int", value) if whole and 0 <= cast("int", value) <= MAX_COUNT else 0


def code(value: object) -> int:
    """Return a numeric error code, written as number or as digits; 0 where it is neither."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 9:
        return int(value)
    return count(value)
