"""Questions and answers of usage: messages to what the accounts know, and back."""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.timestamp_pb2 import Timestamp

from imageedit.v1 import image_edit_pb2 as pb
from imageedit.v1.error_reason_pb2 import ErrorReason
from server.accounts.records import Part, Record
from server.accounts.usage import Line, Summary, Sums
from server.domain import EditError, Situation
from server.status import CODES

DAY_MS = 86_400_000
MOST_DAYS = 366
USUAL_DAYS = 30

# What the column `outcome` has; a refusal is every situation that is not listed.
_OUTCOMES = {
    "": pb.EDIT_OUTCOME_UNDER_WAY,
    "delivered": pb.EDIT_OUTCOME_DELIVERED,
    Situation.UPSTREAM_FAILED.value: pb.EDIT_OUTCOME_UPSTREAM_FAILED,
    Situation.UPSTREAM_BUSY.value: pb.EDIT_OUTCOME_UPSTREAM_BUSY,
    Situation.UPSTREAM_TIMEOUT.value: pb.EDIT_OUTCOME_UPSTREAM_TIMEOUT,
    Situation.CANCELLED.value: pb.EDIT_OUTCOME_CANCELLED,
    "lost": pb.EDIT_OUTCOME_LOST,
    Situation.BUG.value: pb.EDIT_OUTCOME_INTERNAL_ERROR,
}
_WORDS = {*_OUTCOMES, *(situation.value for situation in Situation)}
_TEXTS = ("model", "key_id", "user")


def part(message: pb.UsageFilter, account_id: str, now: int) -> Part:
    """Return which edits of an account are meant at `now`, in Unix milliseconds.

    Raises `EditError` (BAD_REQUEST) for what cannot be meant.
    """
    for name in _TEXTS:
        if "\0" in getattr(message, name):  # which no database takes
            raise _bad(f"{name} holds a NUL character.", name)
    since, until = _time(message, "start_time"), _time(message, "end_time")
    if until is None:
        until = now + 1
    if since is None:
        since = ((until - 1) // DAY_MS - (USUAL_DAYS - 1)) * DAY_MS
    if since >= until:
        raise _bad("start_time must be before end_time.", "start_time")
    if until - since > MOST_DAYS * DAY_MS:
        raise _bad(f"start_time and end_time are over {MOST_DAYS} days apart.", "start_time")
    return Part(
        since=since,
        until=until,
        account_id=account_id,
        key_id=message.key_id or None,
        model=message.model or None,
        user=message.user if message.HasField("user") else None,
        outcomes=_words(message.outcomes) if message.outcomes else None,
    )


def record(found: Record) -> pb.EditRecord:
    """Return what the holder of a key sees of an edit; never a provider or an upstream's name."""
    outcome, reason = _meaning(found.outcome)
    message = pb.EditRecord(
        edit_id=found.id,
        create_time=_timestamp(found.created),
        end_time=None if found.ended is None else _timestamp(found.ended),
        model=found.model,
        user=found.user,
        key_id=found.key_id,
        outcome=outcome,
        error_reason=reason,
        error_message=found.message,
        usage=pb.Usage(
            input_tokens=found.input_tokens,
            input_text_tokens=min(found.input_text_tokens, found.input_tokens),
            input_image_tokens=max(0, found.input_tokens - found.input_text_tokens),
            output_tokens=found.output_tokens,
            cost_nanos=found.cost,
        ),
        mask_method=pb.MaskMethod.Value(
            f"MASK_METHOD_{found.mask_method.upper() or 'UNSPECIFIED'}"
        ),
    )
    message.upstream_duration.FromMilliseconds(found.upstream_ms)
    return message


def summary(found: Summary, looked_at: Part) -> pb.SummarizeUsageResponse:
    """Return the sums over the edits of a part."""
    return pb.SummarizeUsageResponse(
        start_time=_timestamp(looked_at.since or 0),
        end_time=_timestamp(looked_at.until or 0),
        total=_sums(found.total),
        days=_lines(found.days),
        models=_lines(found.models),
        users=_lines(found.users),
        other_users=_sums(found.others),
        outcomes=_counts(found.outcomes),
    )


def _counts(lines: Iterable[Line]) -> list[pb.OutcomeCount]:
    counted: dict[tuple[pb.EditOutcome.ValueType, ErrorReason.ValueType], int] = {}
    for line in lines:
        meaning = _meaning(line.of)
        counted[meaning] = counted.get(meaning, 0) + line.sums.edits
    return [
        pb.OutcomeCount(outcome=outcome, error_reason=reason, edits=edits)
        for (outcome, reason), edits in sorted(counted.items())
    ]


def _meaning(word: str) -> tuple[pb.EditOutcome.ValueType, ErrorReason.ValueType]:
    """Return the outcome and the error's reason for what the column has."""
    outcome = _OUTCOMES.get(word, pb.EDIT_OUTCOME_REFUSED)
    if word in {"", "delivered"}:
        return outcome, ErrorReason.ERROR_REASON_UNSPECIFIED
    situation = Situation.UPSTREAM_FAILED if word == "lost" else Situation(word)
    return outcome, CODES[situation][1]


def _words(outcomes: Iterable[pb.EditOutcome.ValueType]) -> tuple[str, ...]:
    wanted = set(outcomes)
    known = set(pb.EditOutcome.values()) - {pb.EDIT_OUTCOME_UNSPECIFIED}
    if not wanted <= known:
        raise _bad(f"outcomes has the unknown value {min(wanted - known)}.", "outcomes")
    return tuple(sorted(word for word in _WORDS if _meaning(word)[0] in wanted))


def _time(message: pb.UsageFilter, field: str) -> int | None:
    if not message.HasField(field):  # type: ignore[arg-type] # one of two names
        return None
    stamp: Timestamp = getattr(message, field)
    try:
        return stamp.ToMilliseconds()
    except ValueError:
        raise _bad(f"{field} is not a time.", field) from None


def _bad(text: str, field: str) -> EditError:
    return EditError(Situation.BAD_REQUEST, text, field=field)


def _lines(lines: Iterable[Line]) -> list[pb.UsageLine]:
    return [pb.UsageLine(name=line.of, sums=_sums(line.sums)) for line in lines]


def _sums(sums: Sums) -> pb.UsageSums:
    return pb.UsageSums(
        edits=sums.edits,
        delivered=sums.delivered,
        failed=sums.failed,
        input_tokens=sums.input_tokens,
        output_tokens=sums.output_tokens,
        cost_nanos=sums.cost,
    )


def _timestamp(milliseconds: int) -> Timestamp:
    stamp = Timestamp()
    stamp.FromMilliseconds(milliseconds)
    return stamp
