"""The service's usage becomes JSON, and a table for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from datetime import UTC, datetime

import orjson

from gateway_http.errors import REASONS
from gateway_http.render import dollars
from gateway_http.words import word
from imageedit.v1 import image_edit_pb2 as pb
from imageedit.v1.error_reason_pb2 import ErrorReason

COLUMNS = (
    *("id", "created", "ended", "seconds", "upstream_seconds", "model", "user", "key_id"),
    *("outcome", "code", "message", "input_tokens", "output_tokens", "cost", "mask_method"),
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def usage(found: pb.SummarizeUsageResponse) -> bytes:
    """Return the JSON document of the sums."""
    ends = found.end_time
    return orjson.dumps(
        {
            "object": "usage",
            "start_time": found.start_time.seconds,
            "end_time": ends.seconds + (ends.nanos > 0),
            "total": _sums(found.total),
            "days": [{"day": line.name, **_sums(line.sums)} for line in found.days],
            "models": [{"model": line.name, **_sums(line.sums)} for line in found.models],
            "users": [{"user": line.name, **_sums(line.sums)} for line in found.users],
            "other_users": _sums(found.other_users),
            "outcomes": [
                {
                    "outcome": _outcome(one.outcome),
                    "code": _code(one.error_reason),
                    "edits": one.edits,
                }
                for one in found.outcomes
            ],
        }
    )


def page(found: pb.ListEditsResponse) -> bytes:
    """Return the JSON document of a page of records."""
    return orjson.dumps(
        {
            "object": "list",
            "data": [{"object": "edit", **record(one)} for one in found.edits],
            "has_more": bool(found.next_page_token),
            "next_page_token": found.next_page_token or None,
        }
    )


def record(one: pb.EditRecord) -> dict[str, object]:
    """Return what is told of an edit, by COLUMNS; times are Unix seconds, durations seconds."""
    ended = one.HasField("end_time")
    took = one.end_time.ToMilliseconds() - one.create_time.ToMilliseconds()
    return {
        "id": one.edit_id,
        "created": one.create_time.seconds,
        "ended": one.end_time.seconds if ended else None,
        "seconds": max(0, took) / 1000 if ended else None,
        "upstream_seconds": one.upstream_duration.ToMilliseconds() / 1000,
        "model": one.model,
        "user": one.user,
        "key_id": one.key_id,
        "outcome": _outcome(one.outcome),
        "code": _code(one.error_reason),
        "message": one.error_message or None,
        "input_tokens": one.usage.input_tokens,
        "output_tokens": one.usage.output_tokens,
        "cost": _number(one.usage.cost_nanos),
        "mask_method": word(pb.MaskMethod.DESCRIPTOR, one.mask_method, "") or None,
    }


def table(records: Iterable[pb.EditRecord], *, head: bool) -> bytes:
    """Return records as CSV (RFC 4180), with a first line of COLUMNS where `head` is true.

    Times are ISO 8601 in UTC. What a spreadsheet would take for a formula gets an apostrophe.
    """
    text = io.StringIO()
    lines = csv.writer(text)
    if head:
        lines.writerow(COLUMNS)
    for one in records:
        told = record(one) | {
            "created": _time(one.create_time.ToMilliseconds()),
            "ended": _time(one.end_time.ToMilliseconds()) if one.HasField("end_time") else None,
            "cost": dollars(one.usage.cost_nanos),
        }
        lines.writerow([_cell(told[name]) for name in COLUMNS])
    return text.getvalue().encode()


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _time(milliseconds: int) -> str:
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _sums(sums: pb.UsageSums) -> dict[str, object]:
    return {
        "edits": sums.edits,
        "delivered": sums.delivered,
        "failed": sums.failed,
        "input_tokens": sums.input_tokens,
        "output_tokens": sums.output_tokens,
        "cost": _number(sums.cost_nanos),
    }


def _outcome(number: int) -> str:
    return word(pb.EditOutcome.DESCRIPTOR, number, "unknown")


def _code(reason: ErrorReason.ValueType) -> str | None:
    """Return the code that the error table has for a reason, `None` where there was no error."""
    if not reason:
        return None
    name = ErrorReason.Name(reason) if reason in ErrorReason.values() else ""
    return REASONS.get(name.removeprefix("ERROR_REASON_"), REASONS["INTERNAL_ERROR"])[2]


def _number(nanos: int) -> orjson.Fragment:
    """Return nano-dollars as a JSON number of dollars, exact where a float would round."""
    return orjson.Fragment(dollars(nanos).encode())
