"""What the front makes of operations: documents, headers and errors, in every state."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from imageedit.v1 import image_edit_pb2 as pb
from tests.fake_servicer import LIMITS, FakeServicer, Fault, serving
from tests.front_running import KEY, PNG, Front, edited, form, in_process, listening
from tests.running import eventually
from tests.wire import client, edit

NAME = "7d8c0a52-6f0e-4f5e-9d0c-0c5d1b0a9e11"
PATH = f"/v1/jobs/{NAME}"
UNDER_WAY = {
    "id": NAME,
    "object": "image_edit.job",
    "status": "in_progress",
    "created_at": 1778120000,
    "model": "openai/gpt-image-2",
    "polling_url": PATH,
    "poll_after": 2,
}
OVER = {name: value for name, value in UNDER_WAY.items() if name != "poll_after"} | {
    "completed_at": 1778120030,
    "expires_at": 1778120630,
}
MASKED = {
    "ignored_parameters": ["background", "seed"],
    "mask_report": pb.MaskReport(method=pb.MASK_METHOD_NATIVE, unaligned=True, drift=0.12345),
}


@pytest.fixture
def fake() -> Iterator[FakeServicer]:
    with serving() as fake:
        yield fake


@pytest.fixture
def front(fake: FakeServicer) -> Iterator[Front]:
    with in_process(fake) as front:
        yield front


def operation(state: int, *, cancel: bool = False, **result: Any) -> pb.Operation:
    done = state not in {pb.OPERATION_STATE_QUEUED, pb.OPERATION_STATE_IN_PROGRESS}
    about = pb.OperationMetadata(
        state=state,  # type: ignore[arg-type]
        model="openai/gpt-image-2",
        create_time=Timestamp(seconds=1778120000),
        end_time=Timestamp(seconds=1778120030) if done else None,
        expire_time=Timestamp(seconds=1778120630) if done else None,
        cancel_requested=cancel,
    )
    return pb.Operation(name=NAME, metadata=about, done=done, **result)


def failed(reason: str, field: str = "") -> pb.OperationError:
    return pb.OperationError(code=3, reason=reason, message="what was wrong", field=field)


def error(kind: str, code: str, param: str | None = None) -> dict[str, Any]:
    about = {"message": "what was wrong", "type": kind, "param": param, "code": code}
    return {"status": "failed", "error": about}


RUNNING = operation(pb.OPERATION_STATE_IN_PROGRESS)
ENDED = pb.OPERATION_STATE_FAILED
STATES = [
    (RUNNING, UNDER_WAY),
    (operation(pb.OPERATION_STATE_QUEUED), UNDER_WAY | {"status": "queued"}),
    (
        operation(pb.OPERATION_STATE_IN_PROGRESS, cancel=True),
        UNDER_WAY | {"cancel_requested": True},
    ),
    (
        operation(pb.OPERATION_STATE_CANCELLED, cancel=True, error=failed("UPSTREAM_ERROR")),
        OVER | {"status": "cancelled", "cancel_requested": True},
    ),
    (operation(ENDED, error=failed("UPSTREAM_ERROR")), OVER | error(*["upstream_error"] * 2)),
    (
        operation(ENDED, error=failed("INVALID_REQUEST_ERROR", "mask")),
        OVER | error("invalid_request_error", "invalid_request_error", "mask"),
    ),
    (operation(ENDED, error=failed("INTERNAL_ERROR")), OVER | error("api_error", "internal_error")),
    (operation(ENDED, error=failed("OF_A_LATER_DAY")), OVER | error("api_error", "internal_error")),
]


@pytest.mark.parametrize(("given", "document"), STATES)
def test_every_state_is_told(
    fake: FakeServicer, front: Front, given: pb.Operation, document: dict[str, Any]
) -> None:
    fake.queue("GetOperation", pb.GetOperationResponse(operation=given), metadata=LIMITS)
    answer = front.app.test_client().get(PATH, headers=KEY)
    assert (answer.status_code, answer.json) == (200, document)
    assert answer.headers.get("Retry-After") == (None if given.done else "2")
    assert answer.headers["X-RateLimit-Limit"] == "60"
    assert "Location" not in answer.headers
    assert fake.calls[0].messages == [pb.GetOperationRequest(name=NAME)]
    assert fake.calls[0].metadata["authorization"] == KEY["Authorization"]


def test_one_that_succeeded_tells_what_a_plain_answer_does(
    fake: FakeServicer, front: Front
) -> None:
    facts = edited(b"", **MASKED)
    given = operation(pb.OPERATION_STATE_SUCCEEDED, response=facts)
    fake.queue("GetOperation", pb.GetOperationResponse(operation=given))
    told = front.app.test_client().get(PATH, headers=KEY).get_json()
    fake.queue("EditImage", edited(**MASKED))
    plain = front.app.test_client().post("/v1/images/edits", headers=KEY, **form()).get_json()
    facts_told = {name: told[name] for name in plain.keys() - {"created", "data"}}
    assert facts_told == {name: plain[name] for name in facts_told}
    assert told["content_url"] == f"{PATH}/content"
    assert told["ignored_parameters"] == ["background", "seed"]
    assert (told["mask_method"], told["mask_drift"]) == ("native;unaligned", 0.1235)
    schema = front.app.test_client().get("/openapi.json").get_json()["components"]["schemas"]["Job"]
    told_anywhere = set(told).union(*(document for _, document in STATES))
    assert told_anywhere == schema["properties"].keys()
    assert set(schema["required"]) == UNDER_WAY.keys() & OVER.keys()
    statuses = {document["status"] for _, document in STATES} | {told["status"]}
    assert statuses == set(schema["properties"]["status"]["enum"])


def test_a_start_is_a_202_that_says_where_to_look(fake: FakeServicer, front: Front) -> None:
    started = pb.StartEditImageResponse(operation=RUNNING)
    fake.queue(
        "StartEditImage", started, metadata=LIMITS, trailing=(("idempotent-replayed", "true"),)
    )
    answer = front.app.test_client().post(
        "/v1/images/edits?async=true", headers=KEY | {"Idempotency-Key": "k"}, **form(seed="7")
    )
    assert (answer.status_code, answer.json) == (202, UNDER_WAY)
    assert (answer.headers["Location"], answer.headers["Retry-After"]) == (PATH, "2")
    assert answer.headers["idempotent-replayed"] == "true"
    (call,) = fake.calls
    first, chunk = call.messages
    assert (first.parameters.seed, chunk.image_chunk.data) == (7, PNG)
    assert call.metadata["idempotency-key"] == "k"
    assert call.metadata["x-request-id"] == answer.headers["x-request-id"]


def test_a_client_that_hangs_up_before_it_is_told_ends_the_call(fake: FakeServicer) -> None:
    release = Event()
    started = pb.StartEditImageResponse(operation=RUNNING)
    call = fake.queue("StartEditImage", started, hold=release)
    with listening(fake) as running, client(running.address) as connection:
        connection.sendall(edit().replace(b"/edits ", b"/edits?async=true ", 1))
        assert call.asked.wait(10)
        connection.close()
        assert call.ended.wait(5)
        release.set()
        assert eventually(lambda: bool(running.log))
    assert [line["status"] for line in running.log] == [499]


def test_async_false_is_a_plain_edit(fake: FakeServicer, front: Front) -> None:
    fake.queue("EditImage", edited())
    target = "/v1/images/edits?async=false"
    assert front.app.test_client().post(target, headers=KEY, **form()).status_code == 200


def test_the_picture_is_a_file(fake: FakeServicer, front: Front) -> None:
    facts = edited(b"", **MASKED)
    facts.image.mime_type = "image/webp"
    pieces = [b"first", b"second"]
    fake.queue(
        "ReadOperationResult",
        [
            pb.ReadOperationResultResponse(result=facts),
            *(
                pb.ReadOperationResultResponse(result_chunk=pb.ImageChunk(data=piece))
                for piece in pieces
            ),
        ],
        metadata=LIMITS,
    )
    answer = front.app.test_client().get(f"{PATH}/content", headers=KEY)
    assert (answer.status_code, answer.data) == (200, b"firstsecond")
    assert answer.headers["Content-Type"] == "image/webp"
    assert answer.headers["Content-Length"] == "11"
    assert answer.headers["x-ignored-parameters"] == "background, seed"
    assert answer.headers["x-mask-method"] == "native;unaligned"
    assert answer.headers["x-mask-drift"] == "0.1235"
    assert answer.headers["X-RateLimit-Limit"] == "60"


def test_a_picture_that_breaks_off_is_an_error(fake: FakeServicer, front: Front) -> None:
    first = pb.ReadOperationResultResponse(result=edited(b""))
    fake.queue("ReadOperationResult", [first], then=Fault(grpc.StatusCode.UNAVAILABLE))
    answer = front.app.test_client().get(f"{PATH}/content", headers=KEY)
    assert (answer.status_code, answer.json["error"]["code"]) == (502, "upstream_error")


def test_deleting_ends_what_is_under_way_and_drops_what_is_over(
    fake: FakeServicer, front: Front
) -> None:
    client = front.app.test_client()
    gone = {"id": NAME, "object": "image_edit.job", "deleted": True}
    left = pb.DeleteOperationResponse(operation=RUNNING)

    fake.queue("DeleteOperation", pb.DeleteOperationResponse(), metadata=LIMITS)
    answer = client.delete(PATH, headers=KEY)
    assert (answer.status_code, answer.json) == (200, gone)
    assert answer.headers["X-RateLimit-Limit"] == "60"

    fake.queue("DeleteOperation", left)
    ending = operation(pb.OPERATION_STATE_IN_PROGRESS, cancel=True)
    fake.queue("CancelOperation", pb.CancelOperationResponse(operation=ending))
    answer = client.delete(PATH, headers=KEY)
    assert (answer.status_code, answer.json) == (202, UNDER_WAY | {"cancel_requested": True})
    assert answer.headers["Location"] == PATH

    fake.queue("DeleteOperation", left)
    over = operation(pb.OPERATION_STATE_SUCCEEDED, response=edited(b""))
    fake.queue("CancelOperation", pb.CancelOperationResponse(operation=over))
    fake.queue("DeleteOperation", pb.DeleteOperationResponse())
    answer = client.delete(PATH, headers=KEY)
    assert (answer.status_code, answer.json) == (200, gone), "it ended in between"


FAULTS = [
    (Fault(grpc.StatusCode.UNAUTHENTICATED, "INVALID_API_KEY"), 401, "invalid_api_key"),
    (Fault(grpc.StatusCode.NOT_FOUND, "NOT_FOUND"), 404, "not_found"),
    (Fault(grpc.StatusCode.UNAVAILABLE, "UPSTREAM_ERROR", retry_after=5), 503, "upstream_error"),
    (Fault(grpc.StatusCode.INTERNAL, "INTERNAL_ERROR"), 500, "internal_error"),
]
ASKED = [
    ("GET", PATH, "GetOperation"),
    ("GET", f"{PATH}/content", "ReadOperationResult"),
    ("DELETE", PATH, "DeleteOperation"),
]


@pytest.mark.parametrize(("method", "path", "rpc"), ASKED)
@pytest.mark.parametrize(("fault", "status", "code"), FAULTS, ids=[row[2] for row in FAULTS])
def test_errors_are_those_of_every_answer(
    fake: FakeServicer,
    front: Front,
    method: str,
    path: str,
    rpc: str,
    fault: Fault,
    status: int,
    code: str,
) -> None:
    fake.queue(rpc, fault, metadata=LIMITS)
    answer = front.app.test_client().open(path, method=method, headers=KEY)
    assert (answer.status_code, answer.json["error"]["code"]) == (status, code)
    assert answer.json["error"].keys() == {"message", "type", "param", "code"}
    assert answer.headers["X-RateLimit-Limit"] == "60"
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_other_methods_are_told_so(fake: FakeServicer, front: Front, method: str) -> None:
    fake.accept_key()
    answer = front.app.test_client().open(PATH, method=method, headers=KEY)
    assert (answer.status_code, answer.json["error"]["code"]) == (405, "method_not_allowed")
