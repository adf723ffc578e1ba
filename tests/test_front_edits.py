"""POST /v1/images/edits: HTTP in, the messages the service saw, HTTP out."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from gateway_http.render import dollars
from imageedit.v1 import image_edit_pb2 as pb
from tests.fake_servicer import LIMITS, FakeServicer, Fault, serving
from tests.front_running import KEY, PNG, Front, edited, form, in_process, streamed

PATH = "/v1/images/edits"


@pytest.fixture
def fake() -> Iterator[FakeServicer]:
    with serving() as fake:
        yield fake


@pytest.fixture
def front(fake: FakeServicer) -> Iterator[Front]:
    with in_process(fake) as front:
        yield front


def post(front: Front, headers: dict[str, str] = KEY, **fields: Any) -> Any:
    return front.app.test_client().post(PATH, **form(**fields), headers=headers)


def test_the_contracts_answer(fake: FakeServicer, front: Front) -> None:
    fake.queue("EditImage", edited(), metadata=LIMITS)
    answer = post(front)
    assert answer.status_code == 200
    assert answer.json == {
        "created": 1778120000,
        "model": "openai/gpt-image-2",
        "data": [{"b64_json": base64.b64encode(PNG).decode()}],
        "size": "1024x1024",
        "output_format": "png",
        "quality": "high",
        "background": "opaque",
        "usage": {
            "prompt_tokens": 1809,
            "completion_tokens": 7106,
            "total_tokens": 8915,
            "input_tokens": 1809,
            "output_tokens": 7106,
            "input_tokens_details": {"text_tokens": 20, "image_tokens": 1789},
            "cost": 0.227592,
        },
    }
    assert b'"cost":0.227592}' in answer.data
    assert answer.headers["X-RateLimit-Limit"] == "60"
    assert not {"x-ignored-parameters", "x-mask-method", "x-mask-drift"} & {
        name.lower()
        for name in answer.headers.keys()  # noqa: SIM118 - yields pairs otherwise
    }
    (call,) = fake.calls
    assert call.metadata["x-request-id"] == answer.headers["x-request-id"]
    assert uuid.UUID(answer.headers["x-request-id"]).version == 4
    assert call.messages == [
        pb.EditImageRequest(
            model="openai/gpt-image-2", prompt="make it rain", images=[pb.Image(data=PNG)]
        )
    ]
    assert 300 < call.time_remaining <= 361


FIELDS = [
    ({"quality": "low"}, {"quality": pb.QUALITY_LOW}),
    ({"quality": "auto"}, {"quality": pb.QUALITY_AUTO}),
    ({"background": "transparent"}, {"background": pb.BACKGROUND_TRANSPARENT}),
    ({"output_format": "webp"}, {"output_format": pb.OUTPUT_FORMAT_WEBP}),
    ({"input_fidelity": "high"}, {"input_fidelity": pb.INPUT_FIDELITY_HIGH}),
    ({"moderation": "low"}, {"moderation": pb.MODERATION_LOW}),
    ({"mask_convention": "luminance"}, {"mask_convention": pb.MASK_CONVENTION_LUMINANCE}),
    ({"mask_fidelity": "hint"}, {"mask_fidelity": pb.MASK_FIDELITY_HINT}),
    ({"size": "1536x1024"}, {"size": "1536x1024"}),
    ({"size": "auto"}, {"size": "auto"}),
    ({"n": "1"}, {}),
    ({"response_format": "b64_json"}, {}),
    ({"stream": "false"}, {}),
    ({"stream": "False"}, {}),
    ({"partial_images": "0"}, {}),
    ({"seed": "0"}, {"seed": 0}),
    ({"seed": "9999999999"}, {"seed": 9_999_999_999}),
    ({"seed": "-5"}, {"seed": -5}),
    ({"output_compression": "0"}, {"output_compression": 0}),
    ({"output_compression": "100"}, {"output_compression": 100}),
    ({"user": "u"}, {"user": "u"}),
    ({"safety_identifier": "s"}, {"user": "s"}),
    ({"user": "u", "safety_identifier": "s"}, {"user": "s"}),
    ({"prompt": "ein Bär 🐻\r\nx-evil: 1"}, {"prompt": "ein Bär 🐻\r\nx-evil: 1"}),
    ({"prompt": "😀" * 32_000}, {"prompt": "😀" * 32_000}),
    ({"prompt": None}, {"prompt": ""}),
    ({"model": None}, {"model": ""}),
    ({"mask": b"m"}, {"mask": pb.Image(data=b"m")}),
]


@pytest.mark.parametrize(("sent", "seen"), FIELDS, ids=lambda value: ",".join(value)[:40])
def test_a_field_reaches_the_service(
    fake: FakeServicer, front: Front, sent: dict[str, Any], seen: dict[str, Any]
) -> None:
    fake.queue("EditImage", edited())
    assert post(front, **sent).status_code == 200
    expected = {"model": "openai/gpt-image-2", "prompt": "make it rain"} | seen
    assert fake.calls[0].messages == [pb.EditImageRequest(images=[pb.Image(data=PNG)], **expected)]


REFUSED = [
    ({"n": "2"}, "n", "n must be 1"),
    ({"n": "0"}, "n", "n must be 1"),
    ({"n": "one"}, "n", "n must be 1"),
    ({"n": ""}, "n", "n must be 1"),
    ({"n": "1.0"}, "n", "n must be 1"),
    ({"quality": "ultra"}, "quality", "auto, low, medium or high"),
    ({"quality": "unspecified"}, "quality", "auto, low, medium or high"),
    ({"quality": ""}, "quality", "auto, low, medium or high"),
    ({"background": "red"}, "background", "auto, transparent or opaque"),
    ({"output_format": "gif"}, "output_format", "png, jpeg or webp"),
    ({"input_fidelity": "mid"}, "input_fidelity", "low or high"),
    ({"moderation": "none"}, "moderation", "auto or low"),
    ({"mask_convention": "x"}, "mask_convention", "opaque, transparent or luminance"),
    ({"mask_fidelity": "x"}, "mask_fidelity", "exact or hint"),
    ({"response_format": "url"}, "response_format", "b64_json"),
    ({"partial_images": "2"}, "partial_images", "in a stream alone"),
    ({"partial_images": "2", "stream": "false"}, "partial_images", "in a stream alone"),
    ({"stream": "maybe"}, "stream", "true or false"),
    ({"partial_images": "4"}, "partial_images", "0 to 3"),
    ({"output_compression": "101"}, "output_compression", "0 to 100"),
    ({"output_compression": "-1"}, "output_compression", "0 to 100"),
    ({"seed": "x"}, "seed", "whole number"),
    ({"seed": "9" * 30}, "seed", "whole number"),
    ({"seed": "\u0661"}, "seed", "whole number"),
    ({"size": "1024"}, "size", "WIDTHxHEIGHT"),
    ({"size": "0x10"}, "size", "WIDTHxHEIGHT"),
    ({"size": "1024x1024\r\nx-evil: 1"}, "size", "WIDTHxHEIGHT"),
    ({"colour": "red"}, "colour", "not a field"),
    ({"mask[]": PNG}, "mask[]", "not a field"),
    ({"image": None}, "image", "missing"),
    ({"image": b""}, "image", "empty"),
    ({"mask": b""}, "mask", "empty"),
    ({"mask": [PNG, PNG]}, "mask", "more than once"),
    ({"prompt": ["a", "b"]}, "prompt", "more than once"),
    ({"prompt": b"a"}, "prompt", "sent as a file"),
    ({"prompt": "a" * 128_001}, "prompt", "longer than 128000 bytes"),
    ({"image[]": [PNG for _ in range(17)]}, "image", "no more than 16"),
]


@pytest.mark.parametrize(("sent", "param", "says"), REFUSED, ids=range(len(REFUSED)))
def test_a_field_that_is_refused(
    fake: FakeServicer, front: Front, sent: dict[str, Any], param: str, says: str
) -> None:
    fake.accept_key()
    answer = post(front, **sent)
    assert answer.status_code == 400
    error = answer.json["error"]
    assert error["param"] == param
    assert says in error["message"]
    assert error["type"] == error["code"] == "invalid_request_error"
    assert answer.headers["X-RateLimit-Remaining"] == "59"
    assert answer.headers["x-should-retry"] == "false"
    assert "x-evil" not in answer.headers
    assert fake.methods == ["CheckKey"]


def test_pictures_keep_their_order_whatever_their_name(fake: FakeServicer, front: Front) -> None:
    fake.queue("EditImage", edited())
    pictures = [bytes([65 + index]) for index in range(4)]
    assert post(front, image=pictures[0], **{"image[]": pictures[1:]}).status_code == 200
    assert [image.data for image in fake.calls[0].messages[0].images] == [b"A", b"B", b"C", b"D"]


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b'{"model": "a/b"}', "application/json"),
        (b"", ""),
        (b"", "multipart/form-data"),
        (b"", "multipart/form-data; boundary="),
        (b"", "multipart/form-data; boundary=x"),
        (b"--x--", "multipart/form-data; boundary=x"),
        (b"nothing", "multipart/form-data; boundary=x"),
        (b"--x\r\n\r\nno header\r\n--x--", "multipart/form-data; boundary=x"),
        (
            b"--x\r\nContent-Disposition: form-data\r\n\r\na\r\n--x--",
            "multipart/form-data; boundary=x",
        ),
        (b"a", "multipart/form-data; boundary=\xe4".encode("latin-1").decode("latin-1")),
    ],
)  # fmt: skip
def test_a_body_that_is_no_form(
    fake: FakeServicer, front: Front, body: bytes, content_type: str
) -> None:
    fake.accept_key()
    answer = front.app.test_client().post(PATH, data=body, content_type=content_type, headers=KEY)
    assert answer.status_code == 400
    assert answer.json["error"]["type"] == "invalid_request_error"


def test_a_wrong_key_comes_before_every_other_complaint(fake: FakeServicer, front: Front) -> None:
    fake.refuse_key()
    assert post(front, n="2").status_code == 401
    fake.refuse_key()
    assert post(front, headers={}).status_code == 401
    fake.refuse_key()
    huge = {**KEY, "Content-Length": str(10**12)}
    assert front.app.test_client().post(PATH, headers=huge).status_code == 401
    assert fake.methods == ["CheckKey"] * 3
    assert "authorization" not in fake.calls[1].metadata


@pytest.mark.parametrize("key", ["Bearer sk-ä", "Bearer sk-\u20ac", "Bearer " + "k" * 3_000, ""])
def test_a_key_that_grpc_cannot_carry_is_no_key(fake: FakeServicer, front: Front, key: str) -> None:
    fake.refuse_key()
    environ = {"HTTP_AUTHORIZATION": key.encode().decode("latin-1")}
    answer = front.app.test_client().post(PATH, **form(), environ_overrides=environ)
    assert answer.status_code == 401
    assert "authorization" not in fake.calls[0].metadata


def test_only_the_listed_headers_cross(fake: FakeServicer, front: Front) -> None:
    passed = {"idempotency-key": "once", "x-stainless-retry-count": "1"}
    blocked = {"x-request-id": "mine", "cookie": "a=b", "x-forwarded-for": "::1"}
    metadata = (*LIMITS, ("idempotent-replayed", "true"), ("x-key-id", "k1"))
    fake.queue("EditImage", edited(), metadata=metadata)
    answer = post(front, headers=KEY | passed | blocked)
    seen = fake.calls[0].metadata
    assert passed.items() <= seen.items()
    assert seen["authorization"] == KEY["Authorization"]
    assert seen["x-request-id"] != "mine"
    assert not {"cookie", "x-forwarded-for"} & set(seen)
    assert answer.headers["idempotent-replayed"] == "true"
    assert "x-key-id" not in answer.headers


def test_an_idempotency_key_that_cannot_be_carried_is_refused(
    fake: FakeServicer, front: Front
) -> None:
    fake.accept_key()
    answer = post(front, headers={**KEY, "Idempotency-Key": "ü"})
    assert answer.status_code == 400
    assert answer.json["error"]["param"] == "Idempotency-Key"


@pytest.mark.parametrize(
    ("report", "method", "drift"),
    [
        (pb.MaskReport(method=pb.MASK_METHOD_NATIVE, drift=0.03124), "native", "0.0312"),
        (pb.MaskReport(method=pb.MASK_METHOD_SECOND_IMAGE), "second_image", "0.0000"),
        (pb.MaskReport(method=pb.MASK_METHOD_INSTRUCTION, unaligned=True, drift=1),
         "instruction;unaligned", "1.0000"),
    ],
)  # fmt: skip
def test_what_was_done_is_in_the_headers(
    fake: FakeServicer, front: Front, report: pb.MaskReport, method: str, drift: str
) -> None:
    fake.queue("EditImage", edited(mask_report=report, ignored_parameters=["seed", "quality"]))
    answer = post(front)
    assert answer.headers["x-mask-method"] == method
    assert answer.headers["x-mask-drift"] == drift
    assert answer.headers["x-ignored-parameters"] == "seed, quality"


def test_large_pictures_go_and_come_in_chunks(fake: FakeServicer, front: Front) -> None:
    picture, mask = bytes(range(256)) * 10_000, b"m" * 1_048_577
    result = picture[::-1]
    fake.accept_key()
    fake.queue("StreamEditImage", streamed(result), metadata=LIMITS)
    answer = post(front, image=picture, mask=mask, quality="low")
    assert base64.b64decode(answer.json["data"][0]["b64_json"]) == result
    assert answer.headers["X-RateLimit-Limit"] == "60"
    check, edit = fake.calls
    assert check.method == "CheckKey"
    first, *rest = edit.messages
    assert first.parameters == pb.EditImageRequest(
        model="openai/gpt-image-2", prompt="make it rain", quality=pb.QUALITY_LOW
    )
    images = [m.image_chunk for m in rest if m.HasField("image_chunk")]
    masks = [m.mask_chunk for m in rest if m.HasField("mask_chunk")]
    assert b"".join(chunk.data for chunk in images) == picture
    assert b"".join(chunk.data for chunk in masks) == mask
    assert {chunk.index for chunk in [*images, *masks]} == {0}
    assert max(message.ByteSize() for message in rest) < 1_048_576 + 64
    assert rest[len(images) :] == [pb.StreamEditImageRequest(mask_chunk=chunk) for chunk in masks]


@pytest.mark.parametrize(
    ("size", "method"), [(1_048_576, "EditImage"), (1_048_577, "StreamEditImage")]
)
def test_one_mebibyte_of_pictures_is_the_border(
    fake: FakeServicer, front: Front, size: int, method: str
) -> None:
    fake.accept_key()
    fake.queue(method, edited() if method == "EditImage" else streamed(PNG))
    assert post(front, image=bytes(size)).status_code == 200
    assert fake.methods == ["CheckKey", method]


def test_a_streamed_edit_that_fails_early_is_told(fake: FakeServicer, front: Front) -> None:
    fake.accept_key(2)
    fault = Fault(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST_ERROR", field="image")
    fake.queue("StreamEditImage", fault, read_all=False)
    fake.queue("StreamEditImage", [])
    big = bytes(20_000_000)
    answer = post(front, image=big)
    assert (answer.status_code, answer.json["error"]["param"]) == (400, "image")
    answer = post(front, image=big)
    assert (answer.status_code, answer.json["error"]["code"]) == (500, "internal_error")


@pytest.mark.parametrize(
    ("nanos", "shown"),
    [
        (0, "0"),
        (1, "0.000000001"),
        (227_592_000, "0.227592"),
        (40_000_000, "0.04"),
        (10**9, "1"),
        (1_234_567_890_123_456_789, "1234567890.123456789"),
        (-1_500_000_000, "-1.5"),
    ],
)
def test_money_is_exact(nanos: int, shown: str) -> None:
    assert dollars(nanos) == shown


def test_a_leaving_front_takes_no_edit(front: Front) -> None:
    front.drain.begin()
    answer = post(front)
    assert answer.status_code == 503
    assert answer.json["error"]["code"] == "upstream_error"
    assert answer.headers["Retry-After"] == "1"
    assert "x-should-retry" not in answer.headers
