"""`imageedit.client`: the Python client, at the real service."""

from __future__ import annotations

import importlib.resources
import socket
from collections.abc import Iterator
from decimal import Decimal
from os import urandom
from pathlib import Path

import grpc
import pytest
from PIL import Image

from imageedit.client import (
    Accepted,
    Client,
    ImageEditError,
    Partial,
    Progress,
    Result,
    connect,
)
from sandbox.server import SandboxServer
from server.serve import Service
from server.settings import read_settings
from tests.certificates import CA, CLIENT, CLIENT_KEY, SERVER, SERVER_KEY
from tests.customers import customer
from tests.pictures import decoded, encoded
from tests.running import Gateway
from tests.sdk_pictures import (
    MASK,
    MODEL,
    OTHER,
    PHOTO,
    SIZE,
    assert_inverted,
    assert_inverted_in_the_box,
    submissions,
)

MANY = "qwen/qwen-image-edit-2509"


@pytest.fixture
def client(gateway: Gateway) -> Iterator[Client]:
    with connect(gateway.service.address, gateway.key) as client:
        yield client


def test_an_edit_gives_the_picture_and_its_facts(client: Client, tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(PHOTO)
    result = client.edit(
        MODEL, "invert", tmp_path / "photo.png", mask=MASK, quality="low", user="me", seed=7
    )
    assert_inverted_in_the_box(result.picture)
    assert (result.width, result.height) == SIZE
    assert (result.model, result.output_format, result.quality) == (MODEL, "png", "low")
    assert (result.mask_method, result.mask_unaligned) == ("native", False)
    assert result.mask_drift is not None
    assert result.ignored_parameters == ("seed",)
    assert result.usage.input_tokens > 0
    assert result.usage.cost == Decimal(result.usage.cost_nanos) / 10**9 > 0
    assert result.created.tzinfo is not None
    assert result.request_id is not None
    assert result.edit_id
    assert not result.replayed
    assert repr(PHOTO[:8]) not in repr(result)
    result.save(tmp_path / "out.png")
    assert (tmp_path / "out.png").read_bytes() == result.picture
    assert len(list(tmp_path.iterdir())) == 2


def test_several_pictures_go_in_their_order(client: Client, sandbox: SandboxServer) -> None:
    prompt = "invert several pictures by the client"
    client.edit(MANY, prompt, [PHOTO, OTHER])
    (call,) = submissions(sandbox, prompt)
    assert [(picture.width, picture.height) for picture in call.pictures] == [SIZE, (90, 60)]


def test_pictures_over_a_message_limit_go_and_come_in_chunks(client: Client) -> None:
    side, limit = 1280, 4 * 2**20
    noise = Image.frombytes("RGB", (side, side), urandom(side * side * 3))
    mask = Image.new("L", (side, side))
    mask.paste(255, (0, 0, 64, 64))
    large = encoded(noise, "PNG")
    result = client.edit("qwen/qwen-image-edit", "sepia", large, mask=encoded(mask, "PNG"))
    assert min(len(large), len(result.picture)) > limit
    corner = (100, 100, side, side)
    assert decoded(result.picture, "RGB").crop(corner) == noise.crop(corner)


def test_a_stream_tells_what_happens_in_order(client: Client) -> None:
    happened = list(client.stream(MODEL, "invert", PHOTO, partial_images=2))
    kinds = [type(event) for event in happened if not isinstance(event, Progress)]
    assert kinds == [Accepted, Partial, Partial, Result]
    accepted, first, second, result = (e for e in happened if not isinstance(e, Progress))
    assert accepted.model == MODEL
    assert (first.index, second.index, first.mime_type) == (0, 1, "image/png")
    assert decoded(second.picture, "RGB").size == (second.width, second.height)
    assert_inverted(result.picture)


def test_leaving_a_stream_ends_its_call(client: Client) -> None:
    happened = client.stream(MODEL, "invert [sandbox delay=0.2]", PHOTO)
    assert isinstance(next(happened), Accepted)
    happened.close()
    assert list(happened) == []


def test_an_idempotency_key_is_paid_once(gateway: Gateway) -> None:
    who = customer(gateway)
    with connect(gateway.service.address, who.key) as client:
        first = client.edit(MODEL, "invert", PHOTO, idempotency_key="once")
        free = client.credits().free
        second = client.edit(MODEL, "invert", PHOTO, idempotency_key="once")
        assert (first.replayed, second.replayed) == (False, True)
        assert second.picture == first.picture
        assert client.credits().free == free
        with pytest.raises(ImageEditError) as caught:
            client.edit(MODEL, "something else", PHOTO, idempotency_key="once")
    assert caught.value.code == "idempotency_key_reused"
    assert caught.value.status is grpc.StatusCode.ABORTED


def test_models_credits_and_an_estimate(client: Client) -> None:
    models = {model.id: model for model in client.models()}
    qwen = models["qwen/qwen-image-edit"]
    assert qwen.pricing["image"] == "0.04"
    assert qwen.max_input_images == 1
    assert qwen.expiration_date is None
    assert str(models["openai/gpt-image-1"].expiration_date) == "2026-10-23"
    told = client.credits()
    assert told.free == told.balance - Decimal(told.held_nanos) / 10**9
    assert client.estimate("qwen/qwen-image-edit", masked=True) == Decimal("0.04")
    low, high = (
        client.estimate(MODEL, "invert", quality=quality, size="1024x1024")
        for quality in ("low", "high")
    )
    assert 0 < low < high


# what is asked, the code, the field, whether a repeat is safe
REFUSALS = [
    (("acme/none", "invert", PHOTO), "model_capability_mismatch", "model", False),
    ((MODEL, "", PHOTO), "invalid_request_error", "prompt", False),
    ((MODEL, "invert", b""), "invalid_request_error", "image", False),
    ((MODEL, "invert", b"text"), "invalid_request_error", "image", False),
    ((MODEL, "invert", []), "invalid_request_error", "image", False),
    ((MODEL, "[sandbox error429]", PHOTO), "upstream_error", None, True),
    ((MODEL, "[sandbox garbage]", PHOTO), "upstream_error", None, False),
]


@pytest.mark.parametrize(("asked", "code", "field", "safe"), REFUSALS)
def test_an_error_says_what_and_whether_to_repeat(
    client: Client, asked: tuple[str, str, bytes], code: str, field: str | None, *, safe: bool
) -> None:
    with pytest.raises(ImageEditError) as caught:
        client.edit(*asked)
    error = caught.value
    assert (error.code, error.field) == (code, field)
    assert (error.retry_after is not None) == safe
    assert error.request_id is not None
    assert len(str(error)) > 10


def test_a_wrong_key_is_told_and_not_shown(gateway: Gateway) -> None:
    with connect(gateway.service.address, "ie_wrong") as client:
        for ask in (client.credits, lambda: client.edit(MODEL, "invert", PHOTO)):
            with pytest.raises(ImageEditError) as caught:
                ask()
            assert caught.value.code == "invalid_api_key"
            assert "ie_wrong" not in str(caught.value)
        assert client.models()


def test_a_word_that_is_not_there_names_those_that_are(client: Client) -> None:
    with pytest.raises(ValueError, match="quality must be one of auto, low, medium, high"):
        client.edit(MODEL, "invert", PHOTO, quality="best")


def test_nobody_there_and_no_time_left(gateway: Gateway) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with connect(address, "ie_any") as client, pytest.raises(ImageEditError) as caught:
            client.models()
    assert caught.value.code == "unavailable"
    address = gateway.service.address
    with connect(address, gateway.key) as client, pytest.raises(ImageEditError) as caught:
        client.edit(MODEL, "invert [sandbox delay=5]", PHOTO, timeout=0.3)
    assert caught.value.status is grpc.StatusCode.DEADLINE_EXCEEDED, caught.value.code


def test_a_key_never_travels_in_the_clear_to_another_host() -> None:
    for address in ("10.0.0.7:50051", "images.internal:50051"):
        with pytest.raises(ValueError, match="in the clear"):
            connect(address, "ie_any")
    connect("10.0.0.7:50051", "ie_any", insecure=True).close()
    connect("localhost:50051", "ie_any").close()


def test_a_key_that_no_metadata_can_hold_is_refused_unseen(client: Client) -> None:
    for key in ("ie_secret\n", "ie_secrét", ""):
        with pytest.raises(ValueError, match="printable ASCII") as caught:
            connect("localhost:50051", key)
        assert "ie_" not in str(caught.value)
    with pytest.raises(ValueError, match="the idempotency key must be"):
        client.edit(MODEL, "invert", PHOTO, idempotency_key="a\n")


def test_tls_both_ways(sandbox: SandboxServer, tmp_path: Path) -> None:
    for name, pem in {"cert": SERVER, "key": SERVER_KEY, "ca": CA}.items():
        (tmp_path / f"{name}.pem").write_bytes(pem)
    settings = sandbox.environment() | {
        "IMAGEEDIT_DATABASE_URL": f"sqlite:///{tmp_path / 'keys.db'}",
        "IMAGEEDIT_GRPC_ADDRESS": "127.0.0.1:0",
        "IMAGEEDIT_TLS_CERT": str(tmp_path / "cert.pem"),
        "IMAGEEDIT_TLS_KEY": str(tmp_path / "key.pem"),
        "IMAGEEDIT_TLS_CLIENT_CA": str(tmp_path / "ca.pem"),
    }
    service = Service(read_settings(settings))
    service.start()
    try:
        known = {"ca": tmp_path / "ca.pem", "certificate": CLIENT, "private_key": CLIENT_KEY}
        with connect(service.address, "ie_any", **known) as client:
            assert client.models()
        with connect(service.address, "ie_any", ca=CA) as client:  # it does not say who it is
            with pytest.raises(ImageEditError) as caught:
                client.models()
            assert caught.value.code == "unavailable"
    finally:
        service.stop()


def test_it_is_typed_for_others() -> None:
    assert importlib.resources.files("imageedit.client").joinpath("py.typed").is_file()
