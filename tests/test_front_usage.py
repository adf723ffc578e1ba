"""GET /v1/usage and /v1/usage/edits: the query in, JSON and CSV out, and a whole road through."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import grpc
import pytest
import requests
from google.protobuf.timestamp_pb2 import Timestamp

from gateway_http.usage_render import COLUMNS
from imageedit.v1 import image_edit_pb2 as pb
from imageedit.v1.error_reason_pb2 import ErrorReason
from tests.edits import Edit, by_http
from tests.fake_servicer import LIMITS, FakeServicer, Fault, serving
from tests.front_running import KEY, Front, in_process, listening
from tests.paid_keys import paid_key
from tests.running import Gateway

SUMS, EDITS = "/v1/usage", "/v1/usage/edits"
RECORD = pb.EditRecord(
    edit_id="one",
    create_time=Timestamp(seconds=1795669000, nanos=250_000_000),
    end_time=Timestamp(seconds=1795669021, nanos=650_000_000),
    model="a/b",
    user="ann",
    key_id="k1",
    outcome=pb.EDIT_OUTCOME_DELIVERED,
    usage=pb.Usage(input_tokens=9, output_tokens=2, cost_nanos=227_592_001),
    mask_method=pb.MASK_METHOD_SECOND_IMAGE,
)
RECORD.upstream_duration.FromMilliseconds(20_900)
TOLD: dict[str, Any] = {
    "object": "edit", "id": "one", "created": 1795669000, "ended": 1795669021, "seconds": 21.4,
    "upstream_seconds": 20.9, "model": "a/b", "user": "ann", "key_id": "k1",
    "outcome": "delivered", "code": None, "message": None, "input_tokens": 9, "output_tokens": 2,
    "cost": 0.227592001, "mask_method": "second_image",
}  # fmt: skip
FAILED = pb.EditRecord(
    edit_id="two",
    outcome=pb.EDIT_OUTCOME_UNDER_WAY,
    user='=HYPERLINK("x")',
    error_reason=ErrorReason.ERROR_REASON_UPSTREAM_ERROR,
    error_message="Too slow, and\nso on",
)


@pytest.fixture
def fake() -> Iterator[FakeServicer]:
    with serving() as fake:
        yield fake


@pytest.fixture
def front(fake: FakeServicer) -> Iterator[Front]:
    with in_process(fake) as front:
        yield front


def get(front: Front, path: str, **headers: str) -> Any:
    return front.app.test_client().get(path, headers=KEY | headers)


def test_the_sums(fake: FakeServicer, front: Front) -> None:
    sums = pb.UsageSums(edits=3, delivered=1, failed=1, input_tokens=4, cost_nanos=2**63 - 1)
    found = pb.SummarizeUsageResponse(
        start_time=Timestamp(seconds=100),
        end_time=Timestamp(seconds=200, nanos=1),
        total=sums,
        days=[pb.UsageLine(name="2026-11-22", sums=sums)],
        models=[pb.UsageLine(name="a/b")],
        users=[pb.UsageLine(name="")],
        outcomes=[
            pb.OutcomeCount(outcome=pb.EDIT_OUTCOME_DELIVERED, edits=1),
            pb.OutcomeCount(
                outcome=pb.EDIT_OUTCOME_LOST,
                error_reason=ErrorReason.ERROR_REASON_UPSTREAM_ERROR,
                edits=1,
            ),
        ],
    )
    fake.queue("SummarizeUsage", found, metadata=LIMITS)
    answer = get(front, SUMS)
    assert b'"cost":9223372036.854775807' in answer.data  # not as a float has it
    nothing = dict.fromkeys(
        ("edits", "delivered", "failed", "input_tokens", "output_tokens", "cost"), 0
    )
    told = nothing | {"edits": 3, "delivered": 1, "failed": 1, "input_tokens": 4}
    told["cost"] = json.loads("9223372036.854775807")
    assert answer.json == {
        "object": "usage",
        "start_time": 100,
        "end_time": 201,
        "total": told,
        "days": [{"day": "2026-11-22", **told}],
        "models": [{"model": "a/b", **nothing}],
        "users": [{"user": "", **nothing}],
        "other_users": nothing,
        "outcomes": [
            {"outcome": "delivered", "code": None, "edits": 1},
            {"outcome": "lost", "code": "upstream_error", "edits": 1},
        ],
    }
    assert answer.headers["X-RateLimit-Remaining"] == "59"


def test_a_page_of_edits(fake: FakeServicer, front: Front) -> None:
    found = pb.ListEditsResponse(edits=[RECORD, FAILED], next_page_token="more")
    fake.queue("ListEdits", found, metadata=LIMITS)
    answer = get(front, f"{EDITS}?page_size=2&page_token=t").json
    assert (answer["object"], answer["has_more"], answer["next_page_token"]) == (
        "list",
        True,
        "more",
    )
    assert answer["data"][0] == TOLD
    second = answer["data"][1]
    assert (second["ended"], second["seconds"], second["mask_method"]) == (None, None, None)
    assert (second["code"], second["message"]) == ("upstream_error", "Too slow, and\nso on")
    assert fake.calls[0].messages == [
        pb.ListEditsRequest(page_size=2, page_token="t", filter=pb.UsageFilter())
    ]
    assert set(TOLD) == {"object", *COLUMNS}


def filtered(**wanted: Any) -> pb.UsageFilter:
    return pb.UsageFilter(**wanted)


QUERIES = [
    ("", filtered()),
    ("start_time=1793491200", filtered(start_time=Timestamp(seconds=1793491200))),
    ("end_time=2026-11-01", filtered(end_time=Timestamp(seconds=1793491200))),
    ("end_time=9999-12-31", filtered(end_time=Timestamp(seconds=253402214400))),
    ("model=a%2Fb&key_id=k", filtered(model="a/b", key_id="k")),
    ("user=", filtered(user="")),
    ("user=%C3%A4+b", filtered(user="ä b")),
    ("outcome=lost,delivered", filtered(outcomes=[8, 2])),
    ("outcome=failed", filtered(outcomes=[3, 4, 5, 6, 7, 8, 9])),
]


@pytest.mark.parametrize(("query", "expected"), QUERIES)
def test_the_query_is_the_filter(
    fake: FakeServicer, front: Front, query: str, expected: pb.UsageFilter
) -> None:
    fake.queue("SummarizeUsage", pb.SummarizeUsageResponse())
    assert get(front, f"{SUMS}?{query}").status_code == 200
    assert fake.calls[0].messages == [pb.SummarizeUsageRequest(filter=expected)]


BAD = [
    (SUMS, "start_time=yesterday", "start_time"),
    (SUMS, "start_time=-1", "start_time"),
    (SUMS, "start_time=2026-02-30", "start_time"),
    (SUMS, "end_time=2026-1-1", "end_time"),
    (SUMS, "end_time=0000-01-01", "end_time"),
    (SUMS, "end_time=", "end_time"),
    (SUMS, "outcome=", "outcome"),
    (SUMS, "outcome=lost,", "outcome"),
    (SUMS, "outcome=unspecified", "outcome"),
    (SUMS, "since=1", "since"),
    (SUMS, "page_size=1", "page_size"),
    (SUMS, "model=a&model=b", "model"),
    (EDITS, "page_size=0", "page_size"),
    (EDITS, "page_size=1001", "page_size"),
    (EDITS, "page_size=x", "page_size"),
    (EDITS, "format=xml", "format"),
]


@pytest.mark.parametrize(("path", "query", "field"), BAD)
def test_a_bad_query_names_its_parameter(
    fake: FakeServicer, front: Front, path: str, query: str, field: str
) -> None:
    fake.accept_key()
    answer = get(front, f"{path}?{query}")
    assert answer.status_code == 400
    assert answer.json["error"]["param"] == field
    assert answer.headers["X-RateLimit-Limit"] == "60"
    fake.refuse_key()
    assert get(front, f"{path}?{query}").status_code == 401


def test_the_services_own_refusal_is_passed_on(fake: FakeServicer, front: Front) -> None:
    fault = Fault(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST_ERROR", field="page_token")
    fake.queue("ListEdits", fault)
    answer = get(front, EDITS)
    assert (answer.status_code, answer.json["error"]["param"]) == (400, "page_token")


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.mark.parametrize(
    ("query", "accept", "is_csv"),
    [
        ("?format=csv", "application/json", True),
        ("", "text/csv", True),
        ("", "text/csv;q=0.9, application/json;q=0.5", True),
        ("", "*/*", False),
        ("", "text/html", False),
        ("?format=json", "text/csv", False),
    ],
)
def test_how_csv_is_asked_for(
    fake: FakeServicer, front: Front, query: str, accept: str, is_csv: bool
) -> None:
    fake.queue("ListEdits", pb.ListEditsResponse(edits=[RECORD]), metadata=LIMITS)
    with get(front, EDITS + query, Accept=accept) as answer:
        kind = "text/csv; charset=utf-8" if is_csv else "application/json"
        assert answer.content_type == kind
        assert ("Content-Disposition" in answer.headers) == is_csv
        assert answer.headers["X-RateLimit-Limit"] == "60"


def test_csv_has_every_page_and_no_formula(fake: FakeServicer, front: Front) -> None:
    fake.queue("ListEdits", pb.ListEditsResponse(edits=[RECORD], next_page_token="2"))
    fake.queue("ListEdits", pb.ListEditsResponse(edits=[FAILED]))
    with get(front, f"{EDITS}?format=csv&user=ann") as answer:
        found = rows(answer.text)
    assert list(found[0]) == list(COLUMNS)
    assert found[0] == {
        **{name: "" if TOLD[name] is None else str(TOLD[name]) for name in COLUMNS},
        "created": "2026-11-26T04:56:40.250Z",
        "ended": "2026-11-26T04:57:01.650Z",
    }
    assert (found[1]["user"], found[1]["message"]) == (
        '\'=HYPERLINK("x")',
        "Too slow, and\nso on",
    )
    assert [call.messages[0].page_token for call in fake.calls] == ["", "2"]
    assert {call.messages[0].page_size for call in fake.calls} == {1000}
    assert {call.messages[0].filter.user for call in fake.calls} == {"ann"}


def test_csv_of_one_page(fake: FakeServicer, front: Front) -> None:
    fake.queue("ListEdits", pb.ListEditsResponse(edits=[RECORD], next_page_token="2"))
    with get(front, f"{EDITS}?format=csv&page_size=1") as answer:
        assert len(rows(answer.text)) == 1


def test_csv_waits_for_a_busy_service_but_never_ends_as_if_it_were_whole(
    fake: FakeServicer,
) -> None:
    with listening(fake) as front:
        busy = Fault(grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMIT_EXCEEDED", retry_after=1)
        first = pb.ListEditsResponse(edits=[RECORD], next_page_token="2")
        for answer in (first, busy, pb.ListEditsResponse(edits=[FAILED])):
            fake.queue("ListEdits", answer)
        found = requests.get(f"{front.url}{EDITS}?format=csv", headers=KEY, timeout=10)
        assert [row["id"] for row in rows(found.text)] == ["one", "two"]
        for answer in (first, Fault(grpc.StatusCode.UNAUTHENTICATED, "INVALID_API_KEY")):
            fake.queue("ListEdits", answer)
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            requests.get(f"{front.url}{EDITS}?format=csv", headers=KEY, timeout=10)


def test_an_edit_is_found_by_its_request_id(gateway: Gateway) -> None:
    secret = paid_key(gateway.store)[1]
    fields = {"model": "black-forest-labs/flux-kontext-dev", "prompt": "sepia [sandbox echo]"}
    edit = Edit(fields | {"user": "ann"}, key=secret)
    done = by_http(gateway, edit)
    failed = by_http(gateway, replace(edit, fields=fields | {"prompt": "[sandbox error500]"}))
    assert (done.status_code, failed.status_code) == (200, 502)
    key = {"authorization": f"Bearer {secret}"}
    listed = requests.get(gateway.url + EDITS, headers=key, timeout=10).json()
    ids = [found.headers["x-request-id"] for found in (failed, done)]
    assert [one["id"] for one in listed["data"]] == ids
    assert [one["outcome"] for one in listed["data"]] == ["upstream_failed", "delivered"]
    assert [one["code"] for one in listed["data"]] == [failed.json()["error"]["code"], None]
    assert listed["data"][1]["cost"] == done.json()["usage"]["cost"]
    sums = requests.get(gateway.url + SUMS, headers=key, timeout=10).json()
    spent = requests.get(gateway.url + "/v1/credits", headers=key, timeout=10).json()["spent"]
    assert sums["total"]["cost"] == spent > 0
    table = requests.get(f"{gateway.url}{EDITS}?format=csv", headers=key, timeout=10)
    assert [row["id"] for row in rows(table.text)] == ids
