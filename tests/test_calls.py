"""Around every call: its id, its one log line, and what must never be in either."""

from __future__ import annotations

import io
import json
import logging
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
import requests
from grpc_health.v1 import health_pb2, health_pb2_grpc

from imageedit.v1 import image_edit_pb2 as pb
from server.calls import JsonFormatter
from tests.edits import Edit, by_http, message
from tests.running import Gateway, eventually, stream_messages

UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """The service's log while a test runs, at debug level."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)


def calls(log: io.StringIO) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    mine = [line for line in lines if line.get("event") == "call"]
    return [line for line in mine if line["method"] != "ConfirmDelivery"]  # by and by


def test_one_line_a_call_with_the_fronts_id(gateway: Gateway, log: io.StringIO) -> None:
    answer = by_http(gateway, Edit())
    (line,) = calls(log)
    assert line["request_id"] == answer.headers["x-request-id"]
    assert UUID4.fullmatch(str(line["request_id"]))
    assert line["method"] == "EditImage"
    assert (line["code"], line["model"]) == ("OK", "openai/gpt-image-1.5")
    assert line["key_id"] == gateway.key_id
    (attempt,) = line["attempts"]  # type: ignore[misc]
    assert attempt["provider"] == "openai"
    assert attempt["outcome"] == "delivered"

    def told_by_the_front() -> bool:  # which is after the answer
        front = [json.loads(entry) for entry in gateway.log.getvalue().splitlines()]
        return line["request_id"] in {entry.get("request_id") for entry in front}

    assert eventually(told_by_the_front)


@pytest.mark.parametrize("given", ["", "mine", "x" * 5_000, "00000000-0000-1000-8000-000000000000"])
def test_a_strangers_request_id_is_not_taken(
    gateway: Gateway, log: io.StringIO, given: str
) -> None:
    answer = requests.get(f"{gateway.url}/v1/models", headers={"x-request-id": given}, timeout=10)
    assert answer.headers["x-request-id"] != given
    with gateway.stub() as stub:
        _, call = stub.ListModels.with_call(
            pb.ListModelsRequest(), metadata=(("x-request-id", given),)
        )
    made = dict(call.initial_metadata())["x-request-id"]
    assert UUID4.fullmatch(str(made))
    assert made != given


def test_errors_carry_the_id_too(gateway: Gateway) -> None:
    with gateway.stub() as stub:
        with pytest.raises(grpc.RpcError) as caught:
            stub.CheckKey(pb.CheckKeyRequest())
        metadata = dict(caught.value.initial_metadata())
        assert UUID4.fullmatch(str(metadata["x-request-id"]))


FAULTS = ["", "error401", "error400", "moderation", "html502", "reset", "badpicture", "garbage"]


@pytest.mark.parametrize("words", FAULTS)
@pytest.mark.parametrize("model", ["openai/gpt-image-2", "qwen/qwen-image-edit"])
def test_no_secret_and_nothing_private_is_logged_or_told(
    gateway: Gateway, log: io.StringIO, words: str, model: str
) -> None:
    prompt = f"the canary prompt [sandbox {words}]" if words else "the canary prompt"
    fields = {"model": model, "prompt": prompt, "user": "canary user"}
    answer = by_http(gateway, Edit(fields))
    told = answer.text + str(answer.headers)
    for text in (log.getvalue(), gateway.log.getvalue(), told):
        assert gateway.key not in text
        assert gateway.key[3:33] not in text
        assert "canary" not in text
    if answer.status_code != 200:
        assert "sandbox" not in told


def test_every_method_but_the_open_ones_wants_a_key(gateway: Gateway) -> None:
    methods = pb.DESCRIPTOR.services_by_name["ImageEdit"].methods_by_name
    open_ones = {"ListModels", "GetModel"}
    with gateway.stub() as stub:
        for name, method in methods.items():
            request = getattr(pb, method.input_type.name)()
            argument = iter([request]) if method.client_streaming else request
            code = None
            try:
                answer = getattr(stub, name)(argument, timeout=10)
                if method.server_streaming:
                    list(answer)
            except grpc.RpcError as error:
                code = error.code()
            wants_key = code is grpc.StatusCode.UNAUTHENTICATED
            assert wants_key == (name not in open_ones), name


def test_a_confirmation_of_too_many_edits_is_refused(gateway: Gateway) -> None:
    many = pb.ConfirmDeliveryRequest(edit_id="e", more_edit_ids=["e"] * 1_001)
    with gateway.stub() as stub:
        with pytest.raises(grpc.RpcError) as caught:
            stub.ConfirmDelivery(many, metadata=gateway.metadata)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "more_edit_ids" in caught.value.details()
        del many.more_edit_ids[0]
        stub.ConfirmDelivery(many, metadata=gateway.metadata)


def test_health_is_served_and_reflection_is_not(gateway: Gateway) -> None:
    with grpc.insecure_channel(gateway.service.address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for name in ("", "imageedit.v1.ImageEdit"):
            answer = health.Check(health_pb2.HealthCheckRequest(service=name))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        reflect = channel.stream_stream(
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
        )
        with pytest.raises(grpc.RpcError) as caught:
            list(reflect(iter([b""])))
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


OUT_OF_ORDER = [
    ([], "first message"),
    ([pb.StreamEditImageRequest(image_chunk=pb.ImageChunk(data=b"x"))], "first message"),
    (
        [pb.StreamEditImageRequest(parameters=pb.EditImageRequest(images=[pb.Image(data=b"x")]))],
        "chunks",
    ),
    ([pb.StreamEditImageRequest(parameters=pb.EditImageRequest())] * 2, "twice"),
    (
        [
            pb.StreamEditImageRequest(parameters=pb.EditImageRequest()),
            pb.StreamEditImageRequest(image_chunk=pb.ImageChunk(index=1, data=b"x")),
        ],
        "one after the other",
    ),
    (
        [
            pb.StreamEditImageRequest(parameters=pb.EditImageRequest()),
            pb.StreamEditImageRequest(image_chunk=pb.ImageChunk(data=bytes(1_048_577))),
        ],
        "1048576 bytes",
    ),
]


@pytest.mark.parametrize(("messages", "complaint"), OUT_OF_ORDER)
def test_a_stream_out_of_order_is_a_clear_error(
    gateway: Gateway, messages: list[pb.StreamEditImageRequest], complaint: str
) -> None:
    with gateway.stub() as stub, pytest.raises(grpc.RpcError, match=complaint) as caught:
        list(stub.StreamEditImage(iter(messages), metadata=gateway.metadata, timeout=10))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_long_edit_tells_that_it_is_under_way(gateway: Gateway) -> None:
    edit = Edit({"prompt": "sepia [sandbox delay=5.5]"})
    with gateway.stub() as stub:
        call = stub.StreamEditImage(
            stream_messages(message(edit, inline=False), edit.images),
            metadata=gateway.metadata,
            timeout=30,
        )
        events = list(call)
    kinds = [event.WhichOneof("event") for event in events]
    assert kinds[:3] == ["accepted", "progress", "result"]
    assert 4 < events[1].progress.elapsed_seconds < 7


@pytest.fixture
def handshaking(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway whose upstream never ends the TLS handshake: nothing is ever sent."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        environment = {
            "OPENAI_API_KEY": "none",
            "OPENAI_BASE_URL": f"https://127.0.0.1:{mute.getsockname()[1]}/v1",
        }
        with Gateway(environment, tmp_path) as gateway:
            yield gateway


@pytest.mark.parametrize("chunked", [False, True])
def test_a_caller_that_cancels_frees_its_place_and_the_upstream(
    handshaking: Gateway, chunked: bool
) -> None:
    gateway, edit = handshaking, Edit()
    admission = gateway.service.admission
    with gateway.stub() as stub:
        if chunked:
            call = stub.StreamEditImage(
                stream_messages(message(edit, inline=False), edit.images),
                metadata=gateway.metadata,
            )
        else:
            call = stub.EditImage.future(message(edit, inline=True), metadata=gateway.metadata)
        assert eventually(lambda: admission.held == 1)
        call.cancel()
        assert eventually(lambda: admission.held == 0), "the place is still held"


def test_a_callers_deadline_ends_the_upstream_call(gateway: Gateway) -> None:
    edit = Edit({"prompt": "sepia [sandbox silent]"})
    admission = gateway.service.admission
    with gateway.stub() as stub:
        with pytest.raises(grpc.RpcError) as caught:
            stub.EditImage(message(edit, inline=True), metadata=gateway.metadata, timeout=1.5)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert eventually(lambda: admission.held == 0)
