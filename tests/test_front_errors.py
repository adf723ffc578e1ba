"""Every error of the service at the HTTP door: one table, and the errors gRPC itself makes."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import grpc
import pytest

from gateway_http.errors import REASONS
from imageedit.v1.error_reason_pb2 import ErrorReason
from tests.fake_servicer import LIMITS, FakeServicer, Fault, serving
from tests.front_running import KEY, Front, form, in_process

Code = grpc.StatusCode

# fault, status, type, code, Retry-After, x-should-retry
TABLE = [
    (Fault(Code.UNAUTHENTICATED, "INVALID_API_KEY"),
     401, "invalid_request_error", "invalid_api_key", None, "false"),
    (Fault(Code.INVALID_ARGUMENT, "INVALID_REQUEST_ERROR", field="mask"),
     400, "invalid_request_error", "invalid_request_error", None, "false"),
    (Fault(Code.INVALID_ARGUMENT, "INVALID_REQUEST_ERROR", field="image",
           info={"limit": "16777216 pixels"}),
     413, "invalid_request_error", "invalid_request_error", None, "false"),
    (Fault(Code.FAILED_PRECONDITION, "MODEL_CAPABILITY_MISMATCH", info={"model": "a/b"}),
     400, "invalid_request_error", "model_capability_mismatch", None, "false"),
    (Fault(Code.PERMISSION_DENIED, "PERMISSION_DENIED"),
     403, "invalid_request_error", "permission_denied", None, "false"),
    (Fault(Code.FAILED_PRECONDITION, "INSUFFICIENT_CREDITS"),
     402, "billing_error", "insufficient_credits", None, "false"),
    (Fault(Code.ABORTED, "IDEMPOTENCY_KEY_REUSED"),
     422, "invalid_request_error", "idempotency_key_reused", None, "false"),
    (Fault(Code.RESOURCE_EXHAUSTED, "RATE_LIMIT_EXCEEDED", retry_after=2.1),
     429, "rate_limit_error", "rate_limit_exceeded", "3", None),
    (Fault(Code.RESOURCE_EXHAUSTED, "RATE_LIMIT_EXCEEDED", retry_after=0.0),
     429, "rate_limit_error", "rate_limit_exceeded", "1", None),
    (Fault(Code.RESOURCE_EXHAUSTED, "RATE_LIMIT_EXCEEDED", retry_after=60.0),
     429, "rate_limit_error", "rate_limit_exceeded", "60", None),
    (Fault(Code.RESOURCE_EXHAUSTED, "RATE_LIMIT_EXCEEDED", retry_after=60.5),
     429, "rate_limit_error", "rate_limit_exceeded", "60", "false"),
    (Fault(Code.RESOURCE_EXHAUSTED, "RATE_LIMIT_EXCEEDED"),
     429, "rate_limit_error", "rate_limit_exceeded", "60", "false"),
    (Fault(Code.UNAVAILABLE, "UPSTREAM_ERROR"),
     502, "upstream_error", "upstream_error", None, "false"),
    (Fault(Code.UNAVAILABLE, "UPSTREAM_ERROR", retry_after=5),
     503, "upstream_error", "upstream_error", "5", None),
    (Fault(Code.UNAVAILABLE, "UPSTREAM_ERROR", retry_after=600),
     503, "upstream_error", "upstream_error", "60", "false"),
    (Fault(Code.DEADLINE_EXCEEDED, "UPSTREAM_ERROR"),
     504, "upstream_error", "upstream_error", None, "false"),
    (Fault(Code.DEADLINE_EXCEEDED, "UPSTREAM_ERROR", retry_after=5),
     504, "upstream_error", "upstream_error", None, "false"),
    (Fault(Code.INTERNAL, "INTERNAL_ERROR"),
     500, "api_error", "internal_error", None, "false"),
    (Fault(Code.NOT_FOUND, "NOT_FOUND"),
     404, "invalid_request_error", "not_found", None, "false"),
    (Fault(Code.INTERNAL, "UNSPECIFIED"),
     500, "api_error", "internal_error", None, "false"),
]  # fmt: skip

# What carries no reason of ours: gRPC's own errors, a proxy's, a newer service's.
UNDESCRIBED = [
    (Fault(Code.UNAVAILABLE, message="Socket closed"), 502, "upstream_error", None, "false"),
    (Fault(Code.UNAVAILABLE, message="no healthy upstream"), 503, "upstream_error", "1", None),
    (Fault(Code.DEADLINE_EXCEEDED), 504, "upstream_error", None, "false"),
    (Fault(Code.RESOURCE_EXHAUSTED, message="SERVER: Received message larger than max (5 vs. 4)"),
     413, "invalid_request_error", None, "false"),
    (Fault(Code.RESOURCE_EXHAUSTED), 500, "internal_error", None, "false"),
    (Fault(Code.UNKNOWN, message="Exception calling application: sk-secret"),
     500, "internal_error", None, "false"),
    (Fault(Code.INTERNAL), 500, "internal_error", None, "false"),
    (Fault(Code.CANCELLED), 499, "invalid_request_error", None, "false"),
    (Fault(Code.UNAUTHENTICATED), 500, "internal_error", None, "false"),
    (Fault(Code.INVALID_ARGUMENT, "INVALID_REQUEST_ERROR", domain="other.example"),
     500, "internal_error", None, "false"),
    (Fault(Code.ABORTED, "INVENTED_LATER"), 500, "internal_error", None, "false"),
]  # fmt: skip


@pytest.fixture
def fake() -> Iterator[FakeServicer]:
    with serving() as fake:
        yield fake


@pytest.fixture
def front(fake: FakeServicer) -> Iterator[Front]:
    with in_process(fake) as front:
        yield front


def test_the_table_has_every_reason() -> None:
    reasons = {name.removeprefix("ERROR_REASON_") for name in ErrorReason.keys()}  # noqa: SIM118 - no mapping
    assert {fault.reason for fault, *_ in TABLE} == reasons == set(REASONS)


@pytest.mark.parametrize(
    ("fault", "status", "kind", "code", "retry_after", "should_retry"),
    TABLE,
    ids=lambda value: value.reason if isinstance(value, Fault) else "",
)
def test_a_described_error(
    fault: Fault,
    status: int,
    kind: str,
    code: str,
    retry_after: str | None,
    should_retry: str | None,
) -> None:
    with serving() as fake, in_process(fake) as front:
        fake.queue("EditImage", fault, metadata=LIMITS)
        answer = front.app.test_client().post("/v1/images/edits", **form(), headers=KEY)
    assert answer.status_code == status
    assert answer.json == {
        "error": {"message": fault.message, "type": kind, "param": fault.field, "code": code}
    }
    assert answer.headers.get("Retry-After") == retry_after
    assert answer.headers.get("x-should-retry") == should_retry
    assert answer.headers["X-RateLimit-Limit"] == "60"
    assert answer.headers["X-RateLimit-Remaining"] == "59"
    assert uuid.UUID(answer.headers["x-request-id"]).version == 4
    assert fake.methods == ["EditImage"]


@pytest.mark.parametrize(("fault", "status", "code", "retry_after", "should_retry"), UNDESCRIBED)
def test_an_undescribed_error(
    fault: Fault, status: int, code: str, retry_after: str | None, should_retry: str | None
) -> None:
    with serving() as fake, in_process(fake) as front:
        fake.queue("EditImage", fault)
        answer = front.app.test_client().post("/v1/images/edits", **form(), headers=KEY)
    assert answer.status_code == status
    assert answer.json is not None
    assert answer.json["error"]["code"] == code
    assert fault.message not in answer.text
    assert answer.headers.get("Retry-After") == retry_after
    assert answer.headers.get("x-should-retry") == should_retry


def test_a_service_that_is_not_there_is_a_503_that_may_be_repeated() -> None:
    nobody = FakeServicer()
    nobody.address = "unix:/nonexistent/socket"
    with in_process(nobody) as front:
        answer = front.app.test_client().post("/v1/images/edits", **form(), headers=KEY)
    assert answer.status_code == 503
    assert answer.json is not None
    assert answer.json["error"]["code"] == "upstream_error"
    assert answer.headers["Retry-After"] == "1"
    assert "x-should-retry" not in answer.headers
    assert "/nonexistent" not in answer.text


def test_a_service_without_the_call_is_our_bug(fake: FakeServicer, front: Front) -> None:
    answer = front.app.test_client().post("/v1/images/edits", **form(), headers=KEY)
    assert answer.status_code == 500
    assert answer.json is not None
    assert answer.json["error"]["code"] == "internal_error"


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/nowhere", 404, None),
        ("GET", "/v1/credit", 404, None),
        ("GET", "/v1//models", 404, None),
        ("GET", "/v1/models/", 404, None),
        ("GET", "/static/x", 404, None),
        ("GET", "/\r\nx-evil: 1", 404, None),
        ("GET", "/v1/images/edits", 405, {"POST", "OPTIONS"}),
        ("POST", "/v1/models", 405, {"GET", "HEAD", "OPTIONS"}),
        ("BREW", "/healthz", 405, {"GET", "HEAD", "OPTIONS"}),
    ],
)
def test_what_no_route_takes(
    front: Front, method: str, path: str, status: int, allow: set[str] | None
) -> None:
    answer = front.app.test_client().open(path, method=method)
    assert answer.status_code == status
    assert answer.content_type == "application/json"
    assert answer.json is not None
    assert set(answer.json["error"]) == {"message", "type", "param", "code"}
    assert answer.json["error"]["type"] == "invalid_request_error"
    assert uuid.UUID(answer.headers["x-request-id"]).version == 4
    assert "x-evil" not in answer.headers
    allowed = answer.headers.get("Allow")
    assert (set(allowed.split(", ")) if allowed else None) == allow


def test_a_bug_is_a_bare_500_and_its_place_is_in_the_log(front: Front) -> None:
    @front.app.get("/broken")
    def broken() -> None:
        raise RuntimeError("sk-secret")

    answer = front.app.test_client().get("/broken")
    answer.close()
    assert answer.status_code == 500
    assert answer.json is not None
    assert answer.json["error"]["code"] == "internal_error"
    assert answer.headers["x-should-retry"] == "false"
    bug, request = front.log
    assert bug["error"] == "RuntimeError"
    assert bug["where"][-1].endswith(" broken")
    assert bug["request_id"] == request["request_id"] == answer.headers["x-request-id"]
    assert "sk-secret" not in answer.text + front.stream.getvalue()
