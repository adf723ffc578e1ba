"""stream=true: the service's events in, OpenAI's out as they come, and what is told before them."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Iterator
from threading import Event
from typing import Any

import grpc
import pytest
from openai.types import ImageEditCompletedEvent, ImageEditPartialImageEvent

from gateway_http import streaming
from imageedit.v1 import image_edit_pb2 as pb
from tests.fake_servicer import LIMITS, FakeServicer, Fault, serving
from tests.front_running import KEY, PNG, Front, form, in_process, listening, streamed
from tests.running import eventually

PATH = "/v1/images/edits"
ACCEPTED = pb.StreamEditImageResponse(accepted=pb.EditAccepted(model="openai/gpt-image-2"))
REPLAYED = (("idempotent-replayed", "true"),)
MASKED = {
    "mask_report": pb.MaskReport(method=pb.MASK_METHOD_NATIVE, unaligned=True, drift=0.12345),
    "ignored_parameters": ["background", "seed"],
}


@pytest.fixture
def fake() -> Iterator[FakeServicer]:
    with serving() as fake:
        yield fake


@pytest.fixture
def front(fake: FakeServicer) -> Iterator[Front]:
    with in_process(fake) as front:
        yield front


def progress(seconds: float) -> pb.StreamEditImageResponse:
    return pb.StreamEditImageResponse(progress=pb.EditProgress(elapsed_seconds=seconds))


def partial(index: int, data: bytes, size: int = 1_048_576) -> list[pb.StreamEditImageResponse]:
    """Return the events of a partial picture in pieces of `size` bytes."""
    starts = range(0, len(data), size)
    return [
        pb.StreamEditImageResponse(
            partial_image=pb.PartialImage(
                index=index,
                mime_type="image/webp",
                data=data[start : start + size],
                complete=start + size >= len(data),
                width=640,
                height=480,
                background=pb.BACKGROUND_TRANSPARENT,
            )
        )
        for start in starts
    ]


def post(front: Front, headers: dict[str, str] = KEY, **fields: Any) -> Any:
    sent = form(stream="true", **fields)
    return front.app.test_client().post(PATH, **sent, headers=headers)


def parsed(text: str) -> list[tuple[str, dict[str, Any]]]:
    """Return names and data of the events in `text`; checks the frames."""
    assert text.endswith("\n\n")
    found = []
    for frame in text.removesuffix("\n\n").split("\n\n"):
        if frame.startswith(":"):
            continue
        name, data = frame.split("\n")
        assert name.startswith("event: ")
        assert data.startswith("data: ")
        found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
        assert found[-1][1]["type"] == found[-1][0]
    return found


def test_events_come_as_openai_sends_them(fake: FakeServicer, front: Front) -> None:
    first, second = b"first" * 300_000, b"second"
    events = [ACCEPTED, *partial(0, first), progress(5), *partial(1, second, 4)]
    fake.queue("StreamEditImage", [*events, *streamed(PNG, **MASKED)[2:]], metadata=LIMITS)
    answer = post(front, partial_images="2", quality="low", user="someone")
    assert answer.status_code == 200
    assert answer.content_type == "text/event-stream; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-cache"
    assert answer.headers["X-Accel-Buffering"] == "no"
    assert answer.headers["X-RateLimit-Remaining"] == "59"
    assert answer.headers["x-request-id"] == fake.calls[0].metadata["x-request-id"]
    assert fake.calls[0].messages[0].parameters.partial_images == 2
    *partials, (name, done) = parsed(answer.text)
    assert [data["partial_image_index"] for _, data in partials] == [0, 1]
    assert [base64.b64decode(data["b64_json"]) for _, data in partials] == [first, second]
    for _, data in partials:
        typed = ImageEditPartialImageEvent.model_validate(data, strict=True)
        assert data.keys() == ImageEditPartialImageEvent.model_fields.keys()
        assert (typed.size, typed.quality) == ("640x480", "low")
        assert (typed.background, typed.output_format) == ("transparent", "webp")
    assert name == "image_edit.completed"
    typed_done = ImageEditCompletedEvent.model_validate(done, strict=True)
    assert typed_done.created_at == 1778120000
    assert typed_done.safety_identifier == "someone"
    assert done.keys() >= ImageEditCompletedEvent.model_fields.keys()
    assert base64.b64decode(done["b64_json"]) == PNG
    assert done["usage"]["cost"] == 0.227592
    assert done["model"] == "openai/gpt-image-2"
    schemas = front.app.test_client().get("/openapi.json").get_json()["components"]["schemas"]
    assert done.keys() == schemas["CompletedEvent"]["properties"].keys() - {"idempotent_replayed"}
    assert partials[0][1].keys() == schemas["PartialImageEvent"]["properties"].keys()
    assert done["ignored_parameters"] == ["background", "seed"]
    assert (done["mask_method"], done["mask_drift"]) == ("native;unaligned", 0.1235)
    assert "idempotent_replayed" not in done


def test_the_json_body_streams_too(fake: FakeServicer, front: Front) -> None:
    fake.queue("StreamEditImage", streamed(PNG))
    url = "data:image/png;base64," + base64.b64encode(PNG).decode()
    document = {"model": "m", "prompt": "p", "stream": True, "images": [{"image_url": url}]}
    answer = front.app.test_client().post(PATH, json=document, headers=KEY)
    assert [name for name, _ in parsed(answer.text)] == ["image_edit.completed"]


def test_a_stored_answer_is_one_event_with_all_its_headers(
    fake: FakeServicer, front: Front
) -> None:
    events = streamed(PNG, **MASKED)[2:]
    fake.queue("StreamEditImage", events, metadata=LIMITS, trailing=REPLAYED)
    answer = post(front, headers=KEY | {"Idempotency-Key": "one"})
    assert answer.headers["idempotent-replayed"] == "true"
    assert answer.headers["x-ignored-parameters"] == "background, seed"
    assert answer.headers["x-mask-method"] == "native;unaligned"
    assert answer.headers["x-mask-drift"] == "0.1235"
    ((name, data),) = parsed(answer.text)
    assert name == "image_edit.completed"
    assert data["idempotent_replayed"] is True


REFUSED = [
    (Fault(grpc.StatusCode.UNAUTHENTICATED, "INVALID_API_KEY"), 401, "invalid_api_key"),
    (
        Fault(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST_ERROR", field="mask"),
        400,
        "invalid_request_error",
    ),
    (
        Fault(grpc.StatusCode.FAILED_PRECONDITION, "INSUFFICIENT_CREDITS"),
        402,
        "insufficient_credits",
    ),
    (
        Fault(grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMIT_EXCEEDED", retry_after=7),
        429,
        "rate_limit_exceeded",
    ),
    (Fault(grpc.StatusCode.UNAVAILABLE, "UPSTREAM_ERROR", retry_after=5), 503, "upstream_error"),
]


@pytest.mark.parametrize(("fault", "status", "code"), REFUSED, ids=lambda value: str(value)[:20])
def test_what_is_refused_before_anything_began_is_a_plain_error(
    fake: FakeServicer, front: Front, fault: Fault, status: int, code: str
) -> None:
    fake.queue("StreamEditImage", fault, metadata=LIMITS)
    answer = post(front)
    assert (answer.status_code, answer.content_type) == (status, "application/json")
    assert answer.json["error"]["code"] == code
    assert answer.json["error"]["param"] == fault.field
    assert answer.headers["X-RateLimit-Limit"] == "60"


def test_a_bad_form_is_a_plain_error(fake: FakeServicer, front: Front) -> None:
    fake.accept_key()
    answer = post(front, n="2")
    assert (answer.status_code, answer.json["error"]["param"]) == (400, "n")


def test_a_failure_after_the_headers_is_an_event(fake: FakeServicer, front: Front) -> None:
    fault = Fault(grpc.StatusCode.UNAVAILABLE, "UPSTREAM_ERROR", message="m", retry_after=3)
    fake.queue("StreamEditImage", [ACCEPTED, *partial(0, b"p")], then=fault)
    answer = post(front, partial_images="1")
    assert answer.status_code == 200
    (first, _), (name, data) = parsed(answer.text)
    assert (first, name) == ("image_edit.partial_image", "error")
    schemas = front.app.test_client().get("/openapi.json").get_json()["components"]["schemas"]
    assert data.keys() == schemas["ErrorEvent"]["properties"].keys()
    assert data == {
        "type": "error",
        "status": 503,
        "retry_after": 3,
        "error": {
            "message": "m",
            "type": "upstream_error",
            "param": None,
            "code": "upstream_error",
        },
    }


@pytest.mark.parametrize("events", [[ACCEPTED], [ACCEPTED, *partial(0, b"p")]])
def test_a_call_that_ends_without_a_result_is_a_bug_that_is_told(
    fake: FakeServicer, front: Front, events: list[pb.StreamEditImageResponse]
) -> None:
    fake.queue("StreamEditImage", events)
    name, data = parsed(post(front).text)[-1]
    assert (name, data["status"], data["error"]["code"]) == ("error", 500, "internal_error")


def test_a_bug_of_ours_is_told_and_logged(
    fake: FakeServicer, front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(streaming.events, "partial")
    fake.queue("StreamEditImage", [ACCEPTED, *partial(0, b"p")])
    answer = post(front)
    name, data = parsed(answer.text)[-1]
    assert (name, data["status"]) == ("error", 500)
    assert "partial" not in data["error"]["message"]
    (bug,) = [line for line in front.log if line["event"] == "bug"]
    assert bug["request_id"] == answer.headers["x-request-id"]


class Watched:
    """A client that reads a streamed answer byte by byte off its socket."""

    def __init__(self, front: Front, version: str = "1.1") -> None:
        sent = form(stream="true")
        head = (
            f"POST {PATH} HTTP/{version}\r\nHost: x\r\nAuthorization: Bearer sk-test\r\n"
            f"Content-Type: {sent['content_type']}\r\nContent-Length: {len(sent['data'])}\r\n\r\n"
        )
        self.socket = socket.create_connection(front.address, timeout=10)
        self.socket.sendall(head.encode() + sent["data"])
        self.seen = b""

    def until(self, text: bytes) -> None:
        while text not in self.seen:
            piece = self.socket.recv(65_536)
            assert piece, self.seen
            self.seen += piece


@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_each_event_is_there_before_the_next_one_is_made(fake: FakeServicer, version: str) -> None:
    steps = [Event() for _ in range(4)]

    def events() -> Iterator[pb.StreamEditImageResponse]:
        for step, event in zip(
            steps, [*partial(0, b"p"), progress(5.0), progress(10.0)], strict=False
        ):
            assert step.wait(10)
            yield event
        assert steps[-1].wait(10)
        yield from streamed(PNG)[2:]

    def accepted_and(more: Iterator[Any]) -> Iterator[Any]:
        yield ACCEPTED
        yield from more

    fake.queue("StreamEditImage", accepted_and(events()))
    with listening(fake) as front:
        client = Watched(front, version)
        client.until(b": still at work\n\n")  # with the headers, at once
        for step, text in zip(
            steps, [b"image_edit.partial_image", b": still", b": still", b"completed"], strict=True
        ):
            client.seen = b""
            step.set()
            client.until(text)
        if version == "1.0":
            while client.socket.recv(65_536):
                pass
        client.socket.close()


def test_who_waits_long_has_the_headers_before_anything_was_accepted(fake: FakeServicer) -> None:
    go_on = Event()

    def events() -> Iterator[pb.StreamEditImageResponse]:
        yield progress(5.0)
        yield progress(streaming.PATIENCE)
        assert go_on.wait(10)
        yield from streamed(PNG)[2:]

    fake.queue("StreamEditImage", events(), trailing=REPLAYED)
    with listening(fake) as front:
        client = Watched(front)
        client.until(b": still at work\n\n")
        assert b"idempotent" not in client.seen
        go_on.set()
        client.until(b'"idempotent_replayed":true}')
        client.socket.close()


def test_a_client_that_leaves_ends_the_call_and_lets_the_front_go(fake: FakeServicer) -> None:
    def events() -> Iterator[pb.StreamEditImageResponse]:
        yield ACCEPTED
        while not queued.ended.wait(0.02):
            yield progress(1.0)

    queued = fake.queue("StreamEditImage", events())
    with listening(fake) as front:
        client = Watched(front)
        client.until(b": still at work\n\n")
        assert not front.drain.wait(0.0)
        client.socket.close()
        assert queued.ended.wait(5)
        assert eventually(lambda: front.drain.wait(0.0))


def test_a_stream_is_held_while_the_front_drains(fake: FakeServicer) -> None:
    go_on = Event()

    def events() -> Iterator[pb.StreamEditImageResponse]:
        yield ACCEPTED
        assert go_on.wait(10)
        yield from streamed(PNG)[2:]

    fake.queue("StreamEditImage", events())
    with listening(fake) as front:
        client = Watched(front)
        client.until(b": still at work\n\n")
        front.drain.begin()
        assert not front.drain.wait(0.05)
        go_on.set()
        client.until(b"image_edit.completed")
        assert front.drain.wait(5)
        client.socket.close()


def test_an_answer_that_arrived_is_confirmed(fake: FakeServicer) -> None:
    fake.queue("StreamEditImage", streamed(PNG, edit_id="e1"))
    confirmed = fake.queue("ConfirmDelivery", pb.ConfirmDeliveryResponse())
    with listening(fake) as front:
        client = Watched(front)
        client.until(b"\r\n0\r\n\r\n")
        client.socket.close()
        assert confirmed.asked.wait(5)
        assert eventually(lambda: fake.calls[-1].messages != [])
    assert fake.calls[-1].messages == [pb.ConfirmDeliveryRequest(edit_id="e1")]


def test_an_answer_that_failed_is_not(fake: FakeServicer) -> None:
    fault = Fault(grpc.StatusCode.UNAVAILABLE, "UPSTREAM_ERROR")
    fake.queue("StreamEditImage", [ACCEPTED], then=fault)
    with listening(fake) as front:
        client = Watched(front)
        client.until(b"event: error")
        client.socket.close()
        assert eventually(lambda: front.drain.wait(0.0))
    assert fake.methods == ["StreamEditImage"]
