"""What a key's holder is told of usage over gRPC: its account's edits, in pages and in sums."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import event

from imageedit.v1 import image_edit_pb2 as pb
from imageedit.v1.error_reason_pb2 import ErrorReason
from server.accounts.keys import Key
from server.accounts.store import Store
from server.domain import EditError, Situation
from server.usage_reports import AT_A_TIME, LARGEST_PAGE, UsageReports
from tests.edits import Edit, by_grpc
from tests.paid_keys import paid_key
from tests.running import Gateway
from tests.usage_records import DAY, row, write

pytest_plugins = ("tests.databases",)

NOW = int(datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()) * 1000
MIDNIGHT = NOW - DAY // 2


def stamp(milliseconds: int) -> Timestamp:
    made = Timestamp()
    made.FromMilliseconds(milliseconds)
    return made


@pytest.fixture
def key(store: Store) -> Key:
    return paid_key(store)[0]


@pytest.fixture
def reports(store: Store) -> UsageReports:
    return UsageReports(store, lambda: NOW)


def ids(reports: UsageReports, key: Key, size: int = 0, /, **wanted: Any) -> Iterator[list[str]]:
    """Yield the ids of each page."""
    asked = pb.ListEditsRequest(page_size=size, filter=pb.UsageFilter(**wanted))
    while True:
        answer = reports.list_edits(asked, key)
        yield [one.edit_id for one in answer.edits]
        if not answer.next_page_token:
            return
        asked.page_token = answer.next_page_token


def test_pages_follow_each_other_whatever_comes_meanwhile(
    store: Store, key: Key, reports: UsageReports
) -> None:
    rows = [row(key, NOW - number // 3) for number in range(20)]  # three at each moment
    write(store, *rows)
    expected = sorted(rows, key=lambda one: (one["created"], one["id"]), reverse=True)
    pages = ids(reports, key, 7)
    found = [next(pages)]
    write(store, row(key, NOW))
    found += pages
    assert [len(page) for page in found] == [7, 7, 6]
    assert [one for page in found for one in page] == [one["id"] for one in expected]


def test_sizes_of_pages(store: Store, key: Key, reports: UsageReports) -> None:
    write(store, *(row(key, NOW - number) for number in range(LARGEST_PAGE + 1)))
    for size, lengths in ((0, 50), (50, 50), (1000, 1000), (2**31 - 1, 1000)):
        assert len(next(ids(reports, key, size))) == lengths
    assert [len(page) for page in ids(reports, key, 1001)] == [1000, 1]
    exact = ids(reports, key, 1000, start_time=stamp(NOW - 999))
    assert [len(page) for page in exact] == [1000]  # no empty page at the end


def test_a_record(store: Store, key: Key, reports: UsageReports) -> None:
    made = row(key, NOW - 5000, user="ann", cost=227_592_000, mask_method="second_image")
    failed = row(key, NOW - 6000, "upstream_timeout", message="Too slow.", input_tokens=0)
    open_ = row(key, NOW - 7000, "", ended=None)
    write(store, made, failed, open_)
    found = reports.list_edits(pb.ListEditsRequest(), key).edits
    usage = pb.Usage(
        input_tokens=9,
        input_text_tokens=4,
        input_image_tokens=5,
        output_tokens=2,
        cost_nanos=227_592_000,
    )
    expected = pb.EditRecord(
        edit_id=made["id"],
        create_time=stamp(NOW - 5000),
        end_time=stamp(NOW - 3500),
        model="a/b",
        user="ann",
        key_id=key.id,
        outcome=pb.EDIT_OUTCOME_DELIVERED,
        usage=usage,
        mask_method=pb.MASK_METHOD_SECOND_IMAGE,
    )
    expected.upstream_duration.FromMilliseconds(900)
    assert found[0] == expected
    assert (found[1].outcome, found[1].error_reason, found[1].error_message) == (
        pb.EDIT_OUTCOME_UPSTREAM_TIMEOUT,
        ErrorReason.ERROR_REASON_UPSTREAM_ERROR,
        "Too slow.",
    )
    assert found[2].outcome == pb.EDIT_OUTCOME_UNDER_WAY
    assert not found[2].HasField("end_time")
    assert b"secret-name" not in b"".join(one.SerializeToString() for one in found)


def test_every_outcome_that_is_stored_has_a_meaning(
    store: Store, key: Key, reports: UsageReports
) -> None:
    words = ["", "delivered", "lost", *(situation.value for situation in Situation)]
    write(store, *(row(key, NOW - place, word) for place, word in enumerate(words)))
    found = reports.list_edits(pb.ListEditsRequest(), key).edits
    failures = [one for one in found[2:] if one.error_reason]
    assert len(failures) == len(words) - 2
    told = {one.outcome for one in found}
    assert told == set(pb.EditOutcome.values()) - {pb.EDIT_OUTCOME_UNSPECIFIED}
    for outcome in told:  # the filter means the same as the record
        asked = [one for page in ids(reports, key, outcomes=[outcome]) for one in page]
        assert asked == [one.edit_id for one in found if one.outcome == outcome]
    counts = reports.summarize(pb.SummarizeUsageRequest(), key).outcomes
    assert sum(one.edits for one in counts) == len(words)
    assert [one.outcome for one in counts] == sorted(one.outcome for one in counts)


def test_filters(store: Store, key: Key, reports: UsageReports) -> None:
    made = {
        "now": row(key, NOW, user="ann"),
        "old": row(key, MIDNIGHT - 29 * DAY, model="c/d"),
        "older": row(key, MIDNIGHT - 29 * DAY - 1),
    }
    write(store, *made.values())
    table: list[tuple[dict[str, Any], set[str]]] = [
        ({}, {"now", "old"}),
        ({"user": "ann"}, {"now"}),
        ({"user": ""}, {"old"}),
        ({"model": "c/d"}, {"old"}),
        ({"key_id": key.id}, {"now", "old"}),
        ({"key_id": "another"}, set()),
        ({"start_time": stamp(NOW - 100 * DAY)}, {"now", "old", "older"}),
        ({"end_time": stamp(NOW)}, {"old"}),
        ({"end_time": stamp(MIDNIGHT)}, {"old", "older"}),
        ({"start_time": stamp(NOW), "end_time": stamp(NOW + 1)}, {"now"}),
    ]
    for wanted, names in table:
        found = {one for page in ids(reports, key, **wanted) for one in page}
        assert found == {made[name]["id"] for name in names}, wanted
        asked = pb.SummarizeUsageRequest(filter=pb.UsageFilter(**wanted))
        assert reports.summarize(asked, key).total.edits == len(names), wanted


def test_sums(store: Store, key: Key, reports: UsageReports) -> None:
    users = [row(key, NOW, user=f"u{number:03}", cost=number) for number in range(102)]
    write(
        store,
        *users,
        row(key, NOW - DAY, "upstream_failed", model="c/d", user="u101"),
        row(key, NOW - DAY, "", user="u101", input_tokens=0),
    )
    found = reports.summarize(pb.SummarizeUsageRequest(), key)
    cost = sum(range(102))
    assert found.total == pb.UsageSums(
        edits=104, delivered=102, failed=1, input_tokens=103 * 9, output_tokens=208, cost_nanos=cost
    )
    assert [(line.name, line.sums.edits) for line in found.days] == [
        ("2026-11-21", 2),
        ("2026-11-22", 102),
    ]
    assert [(line.name, line.sums.cost_nanos) for line in found.models] == [
        ("a/b", cost),
        ("c/d", 0),
    ]
    assert [line.name for line in found.users] == [f"u{number:03}" for number in range(101, 1, -1)]
    assert found.users[0].sums.edits == 3
    assert (found.other_users.edits, found.other_users.cost_nanos) == (2, 1)
    assert (found.start_time, found.end_time) == (stamp(MIDNIGHT - 29 * DAY), stamp(NOW + 1))


def test_nothing_comes_to_nothing(key: Key, reports: UsageReports) -> None:
    assert reports.summarize(pb.SummarizeUsageRequest(), key).total == pb.UsageSums()
    assert list(ids(reports, key)) == [[]]


WRONG: list[tuple[str, Callable[[], dict[str, Any]]]] = [
    ("start_time", lambda: {"start_time": stamp(NOW), "end_time": stamp(NOW)}),
    ("start_time", lambda: {"start_time": stamp(NOW - 366 * DAY)}),
    ("start_time", lambda: {"start_time": Timestamp(seconds=2**60)}),
    ("end_time", lambda: {"end_time": Timestamp(nanos=-1)}),
    ("user", lambda: {"user": "a\0"}),
    ("model", lambda: {"model": "\0"}),
    ("key_id", lambda: {"key_id": "\0"}),
    ("outcomes", lambda: {"outcomes": [99]}),
    ("outcomes", lambda: {"outcomes": [0]}),
]


@pytest.mark.parametrize(("field", "wanted"), WRONG)
def test_a_wrong_filter_is_told_by_its_field(
    key: Key, reports: UsageReports, field: str, wanted: Callable[[], dict[str, Any]]
) -> None:
    with pytest.raises(EditError) as raised:
        reports.summarize(pb.SummarizeUsageRequest(filter=pb.UsageFilter(**wanted())), key)
    assert (raised.value.situation, raised.value.field) == (Situation.BAD_REQUEST, field)


def test_a_token_is_good_for_its_own_question_alone(
    store: Store, key: Key, reports: UsageReports
) -> None:
    write(store, row(key, NOW), row(key, NOW))
    token = reports.list_edits(pb.ListEditsRequest(page_size=1), key).next_page_token
    again = pb.ListEditsRequest(page_size=5, page_token=token)
    assert len(reports.list_edits(again, key).edits) == 1
    other = pb.ListEditsRequest(page_token=token, filter=pb.UsageFilter(model="a/b"))
    for asked, who in (
        (other, key),
        (again, paid_key(store)[0]),
        (pb.ListEditsRequest(page_token="nonsense"), key),
        (pb.ListEditsRequest(page_token="ä"), key),
        (pb.ListEditsRequest(page_token=token[:-4]), key),
    ):
        with pytest.raises(EditError) as raised:
            reports.list_edits(asked, who)
        assert raised.value.field == "page_token"
    with pytest.raises(EditError, match="negative"):
        reports.list_edits(pb.ListEditsRequest(page_size=-1), key)


def test_only_a_few_ask_at_a_time_and_none_takes_all_places(
    store: Store, key: Key, reports: UsageReports
) -> None:
    """Each question is asked while the database is busy with the one before."""
    other, held, refused = paid_key(store)[0], 0, []

    def ask(who: Key) -> None:
        try:
            reports.list_edits(pb.ListEditsRequest(), who)
        except EditError as error:
            refused.append((held, who, error))

    def busy(_c: object, _u: object, statement: str, *_: object) -> None:
        nonlocal held
        if not statement.startswith("SELECT") or held > AT_A_TIME:
            return
        held += 1
        ask(key)
        if held == AT_A_TIME - 1:
            ask(other)

    event.listen(store.engine, "before_cursor_execute", busy)
    ask(key)
    event.remove(store.engine, "before_cursor_execute", busy)
    assert [(places, who) for places, who, _ in refused] == [
        (AT_A_TIME - 1, key),
        (AT_A_TIME, key),
    ]
    assert {error.situation for _, _, error in refused} == {Situation.LIMITED}
    assert {error.retry_after for _, _, error in refused} == {1}
    ask(key)  # every place was given back
    assert len(refused) == 2


def test_the_index_leads_to_a_page_and_to_the_sums(
    store: Store, key: Key, reports: UsageReports
) -> None:
    if not store.embedded:
        return  # its planner goes by the size of tables
    write(store, row(key, NOW), row(key, NOW))
    seen: list[tuple[str, Any]] = []

    def note(_c: object, _u: object, statement: str, parameters: Any, *_: object) -> None:
        seen.append((statement, parameters))

    event.listen(store.engine, "before_cursor_execute", note)
    token = reports.list_edits(pb.ListEditsRequest(page_size=1), key).next_page_token
    reports.list_edits(pb.ListEditsRequest(page_size=1, page_token=token), key)
    reports.summarize(pb.SummarizeUsageRequest(), key)
    event.remove(store.engine, "before_cursor_execute", note)
    asked = [(statement, parameters) for statement, parameters in seen if "SELECT" in statement]
    assert len(asked) == 4
    with store.read() as connection:
        for statement, parameters in asked:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            steps = [step.detail for step in plan]
            index = "USING INDEX ix_edits_account_id_created_id"
            assert f"{index} (account_id=? AND created>? AND created<?)" in steps[0], steps
            if "LIMIT" in statement and "GROUP BY" not in statement:
                assert len(steps) == 1, steps  # nothing is sorted


def test_a_key_sees_its_accounts_edits_and_no_others(gateway: Gateway) -> None:
    own, secret = paid_key(gateway.store)
    second = gateway.keys.create("second", account_id=own.account_id)[1]
    stranger = paid_key(gateway.store)[1]
    model = "black-forest-labs/flux-kontext-dev"
    edit = Edit({"model": model, "prompt": "sepia [sandbox echo]", "user": "ann"}, key=secret)
    request_id = by_grpc(gateway, edit).edit_id
    failing = Edit({"model": model, "prompt": "x [sandbox moderation]"}, key=second)
    with pytest.raises(grpc.RpcError):
        by_grpc(gateway, failing)
    with gateway.stub() as stub:
        for holder, edits_ in ((secret, 2), (second, 2), (stranger, 0)):
            metadata = (("authorization", f"Bearer {holder}"),)
            listed = stub.ListEdits(pb.ListEditsRequest(), metadata=metadata).edits
            sums = stub.SummarizeUsage(pb.SummarizeUsageRequest(), metadata=metadata)
            assert (len(listed), sums.total.edits) == (edits_, edits_)
            if edits_:
                assert listed[1].edit_id == request_id
                assert listed[1].usage.cost_nanos == sums.total.cost_nanos > 0
                assert listed[0].outcome == pb.EDIT_OUTCOME_REFUSED
                assert listed[0].error_reason == ErrorReason.ERROR_REASON_INVALID_REQUEST_ERROR
                assert [line.name for line in sums.users] == ["ann", ""]
        for metadata in ((), (("authorization", "Bearer sk-nobody"),)):
            with pytest.raises(grpc.RpcError) as raised:
                stub.ListEdits(pb.ListEditsRequest(), metadata=metadata)
            assert raised.value.code() is grpc.StatusCode.UNAUTHENTICATED
