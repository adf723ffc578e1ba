"""The query of a question about usage becomes a UsageFilter; faults name their parameter."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp
from werkzeug.datastructures import MultiDict

from gateway_http.form import FormError
from gateway_http.words import words
from imageedit.v1 import image_edit_pb2 as pb

FILTERS = frozenset({"start_time", "end_time", "model", "user", "key_id", "outcome"})
LARGEST_PAGE = 1_000
OUTCOMES = words(pb.EditOutcome.DESCRIPTOR)
FAILED = "failed"
"""One word for every outcome without a picture."""

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_SECONDS = re.compile(r"[0-9]{1,11}")
_NUMBER = re.compile(r"[0-9]{1,9}")

Query = Mapping[str, str]


def single(arguments: MultiDict[str, str], known: frozenset[str]) -> dict[str, str]:
    """Return the query's parameters, each of which must be in `known` and come once.

    Raises FormError.
    """
    for name, values in arguments.lists():
        if name not in known:
            raise FormError(f"{name[:64]!r} is not a parameter of this.", name[:64] or None)
        if len(values) > 1:
            raise FormError(f"{name} is given more than once.", name)
    return arguments.to_dict()


def selection(query: Query) -> pb.UsageFilter:
    """Return which edits the query means; raises FormError."""
    found = pb.UsageFilter(
        model=query.get("model", ""),
        user=query.get("user"),
        key_id=query.get("key_id", ""),
        start_time=_time(query, "start_time"),
        end_time=_time(query, "end_time"),
    )
    if "outcome" in query:
        found.outcomes.extend(_outcomes(query["outcome"]))
    return found


def page_size(query: Query) -> int:
    """Return how many records are wanted, 0 where the query does not say; raises FormError."""
    value = query.get("page_size")
    if value is None:
        return 0
    if not _NUMBER.fullmatch(value) or not 1 <= int(value) <= LARGEST_PAGE:
        raise FormError(f"page_size must be 1 to {LARGEST_PAGE}; got {value[:64]!r}.", "page_size")
    return int(value)


def _time(query: Query, name: str) -> Timestamp | None:
    value = query.get(name)
    if value is None:
        return None
    if _SECONDS.fullmatch(value):
        return Timestamp(seconds=int(value))
    try:
        if not _DAY.fullmatch(value):
            raise ValueError  # noqa: TRY301 -- one answer for both
        day = datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        message = f"{name} must be Unix seconds or YYYY-MM-DD (UTC); got {value[:64]!r}."
        raise FormError(message, name) from None
    return Timestamp(seconds=int(day.timestamp()))


def _outcomes(value: str) -> Iterator[pb.EditOutcome.ValueType]:
    for word in value.split(","):
        if word == FAILED:
            fine = {pb.EDIT_OUTCOME_UNDER_WAY, pb.EDIT_OUTCOME_DELIVERED}
            yield from (pb.EditOutcome.ValueType(n) for n in OUTCOMES.values() if n not in fine)
        elif word in OUTCOMES:
            yield pb.EditOutcome.ValueType(OUTCOMES[word])
        else:
            listed = ", ".join((FAILED, *OUTCOMES))
            raise FormError(f"outcome must be of {listed}; got {word[:64]!r}.", "outcome")
