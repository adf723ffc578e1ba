"""OpenAI's own Python SDK against the front: in process, and over real sockets."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import httpx2
import openai
import pytest

from imageedit.v1 import image_edit_pb2 as pb
from tests.fake_servicer import LIMITS, FakeServicer, Fault, serving
from tests.front_running import PNG, Front, edited, in_process, listening, streamed

Code = grpc.StatusCode
MODEL = "openai/gpt-image-2"


@pytest.fixture
def fake() -> Iterator[FakeServicer]:
    with serving() as fake:
        yield fake


@contextmanager
def sdk(front: Front, **options: object) -> Iterator[openai.OpenAI]:
    """Yield the SDK, in process unless the front listens."""
    if front.address[1]:
        client = httpx2.Client()
        base = front.url
    else:
        client = httpx2.Client(transport=httpx2.WSGITransport(app=front.app))
        base = "http://front"
    with openai.OpenAI(
        api_key="sk-test", base_url=f"{base}/v1", http_client=client, **options
    ) as made:
        yield made


@pytest.fixture(params=["in process", "over sockets"])
def client(fake: FakeServicer, request: pytest.FixtureRequest) -> Iterator[openai.OpenAI]:
    around = in_process if request.param == "in process" else listening
    with around(fake) as front, sdk(front) as made:
        yield made


def test_every_shape_of_picture(fake: FakeServicer, client: openai.OpenAI, tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(PNG)
    with path.open("rb") as opened, path.open("rb") as again:
        for image, count in [
            (opened, 1),
            (path, 1),
            (PNG, 1),
            (io.BytesIO(PNG), 1),
            (("photo.webp", PNG, "image/webp"), 1),
            ([again], 1),
            ([PNG, io.BytesIO(PNG), path], 3),
        ]:
            fake.queue("EditImage", edited(), metadata=LIMITS)
            answer = client.images.edit(model=MODEL, prompt="rain", image=image)
            assert answer.data is not None
            assert base64.b64decode(answer.data[0].b64_json or "") == PNG
            sent = fake.calls[-1].messages[0]
            assert [picture.data for picture in sent.images] == [PNG] * count
            assert not sent.HasField("mask")
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (1809, 7106)
    assert answer.usage.input_tokens_details.image_tokens == 1789
    assert answer.usage.prompt_tokens == 1809  # type: ignore[attr-defined]
    assert answer.usage.cost == 0.227592  # type: ignore[attr-defined]
    assert (answer.size, answer.quality, answer.created) == ("1024x1024", "high", 1778120000)


def test_every_argument(fake: FakeServicer, client: openai.OpenAI) -> None:
    fake.queue("EditImage", edited())
    client.images.edit(
        model=MODEL,
        prompt="rain",
        image=PNG,
        mask=b"mask",
        n=1,
        size="1024x1024",
        quality="high",
        background="opaque",
        output_format="jpeg",
        output_compression=80,
        input_fidelity="high",
        response_format="b64_json",
        user="u1",
        stream=False,
        extra_body={"mask_convention": "transparent", "seed": 7, "moderation": "low"},
    )
    assert fake.calls[0].messages == [
        pb.EditImageRequest(
            model=MODEL,
            prompt="rain",
            images=[pb.Image(data=PNG)],
            mask=pb.Image(data=b"mask"),
            size="1024x1024",
            quality=pb.QUALITY_HIGH,
            background=pb.BACKGROUND_OPAQUE,
            output_format=pb.OUTPUT_FORMAT_JPEG,
            output_compression=80,
            input_fidelity=pb.INPUT_FIDELITY_HIGH,
            user="u1",
            mask_convention=pb.MASK_CONVENTION_TRANSPARENT,
            seed=7,
            moderation=pb.MODERATION_LOW,
        )
    ]


def test_a_large_picture(fake: FakeServicer, client: openai.OpenAI) -> None:
    picture = bytes(range(256)) * 20_000
    fake.accept_key()
    fake.queue("StreamEditImage", streamed(picture))
    answer = client.images.edit(model=MODEL, prompt="rain", image=io.BytesIO(picture))
    assert answer.data is not None
    assert base64.b64decode(answer.data[0].b64_json or "") == picture


# fault, exception, status, code, how often the SDK calls
ERRORS = [
    (Fault(Code.UNAUTHENTICATED, "INVALID_API_KEY"),
     openai.AuthenticationError, 401, "invalid_api_key", 1),
    (Fault(Code.INVALID_ARGUMENT, "INVALID_REQUEST_ERROR", field="mask"),
     openai.BadRequestError, 400, "invalid_request_error", 1),
    (Fault(Code.FAILED_PRECONDITION, "INSUFFICIENT_CREDITS"),
     openai.APIStatusError, 402, "insufficient_credits", 1),
    (Fault(Code.PERMISSION_DENIED, "PERMISSION_DENIED"),
     openai.PermissionDeniedError, 403, "permission_denied", 1),
    (Fault(Code.ABORTED, "IDEMPOTENCY_KEY_REUSED"),
     openai.UnprocessableEntityError, 422, "idempotency_key_reused", 1),
    (Fault(Code.RESOURCE_EXHAUSTED, "RATE_LIMIT_EXCEEDED", retry_after=90),
     openai.RateLimitError, 429, "rate_limit_exceeded", 1),
    (Fault(Code.UNAVAILABLE, "UPSTREAM_ERROR"),
     openai.InternalServerError, 502, "upstream_error", 1),
    (Fault(Code.UNAVAILABLE, "UPSTREAM_ERROR", retry_after=1),
     openai.InternalServerError, 503, "upstream_error", 2),
    (Fault(Code.DEADLINE_EXCEEDED, "UPSTREAM_ERROR"),
     openai.InternalServerError, 504, "upstream_error", 1),
    (Fault(Code.INTERNAL, "INTERNAL_ERROR"),
     openai.InternalServerError, 500, "internal_error", 1),
]  # fmt: skip


@pytest.mark.parametrize(
    ("fault", "raised", "status", "code", "times"), ERRORS, ids=[str(row[2]) for row in ERRORS]
)
def test_errors_arrive_as_the_sdks_own(
    fault: Fault, raised: type[openai.APIStatusError], status: int, code: str, times: int
) -> None:
    with serving() as fake, in_process(fake) as front, sdk(front, max_retries=1) as client:
        for _ in range(times):
            fake.queue("EditImage", fault)
        with pytest.raises(raised) as caught:
            client.images.edit(model=MODEL, prompt="rain", image=PNG)
    error = caught.value
    assert (error.status_code, error.code, error.param) == (status, code, fault.field)
    assert error.request_id == error.response.headers["x-request-id"]
    assert fake.calls[-1].metadata["x-request-id"] == error.request_id
    assert fake.methods == ["EditImage"] * times
    assert [call.metadata["x-stainless-retry-count"] for call in fake.calls] == ["0", "1"][:times]


def test_a_body_over_the_limit_and_a_wrong_model(fake: FakeServicer, client: openai.OpenAI) -> None:
    fake.accept_key()
    with pytest.raises(openai.APIStatusError) as caught:
        client.images.edit(model=MODEL, prompt="rain", image=bytes(100_000_000))
    assert (caught.value.status_code, caught.value.code) == (413, "invalid_request_error")
    fake.queue("GetModel", Fault(Code.FAILED_PRECONDITION, "MODEL_CAPABILITY_MISMATCH"))
    with pytest.raises(openai.NotFoundError) as missing:
        client.models.retrieve("a/b")
    assert missing.value.code == "model_capability_mismatch"


def test_models(fake: FakeServicer, client: openai.OpenAI) -> None:
    fake.queue("ListModels", pb.ListModelsResponse(models=[pb.Model(id=MODEL)]))
    fake.queue("GetModel", pb.GetModelResponse(model=pb.Model(id=MODEL)))
    assert [model.id for model in client.models.list()] == [MODEL]
    assert client.models.retrieve(MODEL).id == MODEL
    assert fake.calls[-1].messages == [pb.GetModelRequest(model=MODEL)]
