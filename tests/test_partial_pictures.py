"""Pictures on the way to the result: asked of the upstream, finished alike, and what they cost."""

from __future__ import annotations

import io
import time
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from PIL import Image, ImageChops

from imageedit.v1 import image_edit_pb2 as pb
from sandbox.server import SandboxServer
from server.domain import Picture
from server.messages import partial_image
from tests.customers import Customer, customer
from tests.pictures import decoded
from tests.running import Gateway, stream_messages
from tests.sdk_pictures import BOX, MASK, MODEL, PHOTO, SIZE, assert_inverted

FIRST_ROUTE = "openai/gpt-image-2"  # OpenRouter's; the second is OpenAI's


@dataclass
class Streamed:
    """What a streamed edit gave."""

    partials: list[tuple[pb.PartialImage, bytes]]
    facts: pb.EditImageResponse
    picture: bytes


def streamed(who: Customer, words: str = "", mask: bytes | None = None, **fields: Any) -> Streamed:
    parameters = pb.EditImageRequest(
        **{"model": MODEL, "prompt": who.prompt(words), "partial_images": 2, **fields}
    )
    metadata = (("authorization", f"Bearer {who.key}"),)
    found = Streamed([], pb.EditImageResponse(), b"")
    data = b""
    with who.gateway.stub() as stub:
        messages = stream_messages(parameters, [PHOTO], mask)
        for event in stub.StreamEditImage(messages, metadata=metadata, timeout=60):
            if event.HasField("partial_image"):
                data += event.partial_image.data
                if event.partial_image.complete:
                    found.partials.append((event.partial_image, data))
                    data = b""
            elif event.HasField("result"):
                found.facts = event.result
            elif event.HasField("result_chunk"):
                found.picture += event.result_chunk.data
    return found


def sent(sandbox: SandboxServer, who: Customer) -> list[tuple[str, object, object]]:
    """Return the vendor, `stream` and `partial_images` of every call for `who`."""
    return [
        (call.path.split("/")[1], call.fields.get("stream"), call.fields.get("partial_images"))
        for call in sandbox.calls
        if who.mark in str(call.fields.get("prompt"))
    ]


@pytest.fixture
def who(gateway: Gateway) -> Customer:
    return customer(gateway)


@pytest.mark.parametrize("wanted", [1, 2, 3])
def test_openai_is_asked_for_as_many_as_were_wanted(
    sandbox: SandboxServer, who: Customer, wanted: int
) -> None:
    found = streamed(who, partial_images=wanted)
    assert [piece.index for piece, _ in found.partials] == list(range(wanted))
    assert sent(sandbox, who) == [("openai", "true", str(wanted))]
    assert_inverted(found.picture)
    assert not found.facts.ignored_parameters
    (row,) = who.edits()
    assert row.state == "posted"
    assert row.output_tokens == found.facts.usage.output_tokens > 100 * wanted


@pytest.mark.parametrize(("wanted", "given"), [(1, 1), (3, 2)])
def test_openrouter_gives_what_it_has_and_no_more_than_wanted_goes_on(
    sandbox: SandboxServer, who: Customer, wanted: int, given: int
) -> None:
    found = streamed(who, model=FIRST_ROUTE, partial_images=wanted)
    assert [piece.index for piece, _ in found.partials] == list(range(given))
    assert sent(sandbox, who) == [("openrouter", True, None)]
    assert_inverted(found.picture)
    assert found.facts.usage.cost_nanos > 0


@pytest.mark.parametrize(
    ("model", "calls"),
    [(MODEL, ("openai", None, None)), (FIRST_ROUTE, ("openrouter", None, None))],
)
def test_who_wants_none_has_a_plain_call_made(
    sandbox: SandboxServer, who: Customer, model: str, calls: tuple[object, ...]
) -> None:
    assert streamed(who, model=model, partial_images=0).partials == []
    assert sent(sandbox, who) == [calls]


def test_where_there_are_none_it_is_said(sandbox: SandboxServer, who: Customer) -> None:
    found = streamed(who, model="qwen/qwen-image-edit")
    assert found.partials == []
    assert list(found.facts.ignored_parameters) == ["partial_images"]
    assert sent(sandbox, who) == [("siliconflow", None, None)]


@pytest.mark.parametrize("model", [MODEL, FIRST_ROUTE])
def test_a_partial_picture_is_finished_as_the_result_is(who: Customer, model: str) -> None:
    found = streamed(who, mask=MASK, model=model, output_format=pb.OUTPUT_FORMAT_WEBP)
    assert len(found.partials) == 2
    before = decoded(PHOTO, "RGB")
    for piece, data in found.partials:
        assert (piece.mime_type, piece.width, piece.height) == ("image/webp", *SIZE)
        assert piece.background == pb.BACKGROUND_OPAQUE
        after = decoded(data, "RGB")
        difference = ImageChops.difference(before, after)
        assert difference.getbbox() is not None
        difference.paste((0, 0, 0), BOX)
        assert difference.getbbox() is None


def test_a_hint_is_left_as_it_came(who: Customer) -> None:
    found = streamed(who, mask=MASK, mask_fidelity=pb.MASK_FIDELITY_HINT)
    with Image.open(io.BytesIO(found.partials[0][1])) as picture:
        assert picture.size == (256, 256) != SIZE


def test_a_unary_call_gives_none_and_says_so(gateway: Gateway) -> None:
    request = pb.EditImageRequest(
        model=MODEL, prompt="p", images=[pb.Image(data=PHOTO)], partial_images=1
    )
    with gateway.stub() as stub, pytest.raises(grpc.RpcError) as caught:
        stub.EditImage(request, metadata=gateway.metadata, timeout=10)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "StreamEditImage" in caught.value.details()


# words, the vendors that were asked, the edit's state, how it ended, whether a loss is booked
ENDS = [
    ("[sandbox cut=30000]", ["openai"], "unknown", "upstream_failed", True),
    ("[sandbox late error500]", ["openai"], "unknown", "upstream_failed", True),
    ("[sandbox late error503]", ["openai"], "unknown", "upstream_failed", True),
    ("[sandbox late moderation]", ["openai"], "unknown", "bad_request", True),
    ("[sandbox error500]", ["openai"], "voided", "upstream_failed", False),
    ("[sandbox moderation]", ["openai"], "voided", "bad_request", False),
]


@pytest.mark.parametrize(("words", "asked", "state", "outcome", "lost"), ENDS)
def test_what_a_broken_stream_costs(
    sandbox: SandboxServer,
    who: Customer,
    words: str,
    asked: list[str],
    state: str,
    outcome: str,
    lost: bool,
) -> None:
    with pytest.raises(grpc.RpcError):
        streamed(who, words)
    assert [vendor for vendor, _, _ in sent(sandbox, who)] == asked
    (row,) = who.edits()
    assert (row.state, row.outcome) == (state, outcome)
    assert row.cost == 0
    assert (row.loss > 0) is lost


@pytest.mark.parametrize("words", ["cut=30000", "late error500", "late error503", "error_in_200"])
def test_where_failures_are_free_the_next_route_is_tried(
    sandbox: SandboxServer, who: Customer, words: str
) -> None:
    found = streamed(who, f"[sandbox {words} at=openrouter]", model=FIRST_ROUTE)
    assert [vendor for vendor, _, _ in sent(sandbox, who)] == ["openrouter", "openai"]
    # The second route begins anew, and only as many as were wanted go on.
    assert [piece.index for piece, _ in found.partials] == [0, 1]
    assert_inverted(found.picture)
    (row,) = who.edits()
    assert row.state == "posted"


def test_one_comes_as_soon_as_it_is_there(who: Customer) -> None:
    parameters = pb.EditImageRequest(
        model=MODEL, prompt=who.prompt("[sandbox gap=1]"), partial_images=1
    )
    metadata = (("authorization", f"Bearer {who.key}"),)
    seen: dict[str, float] = {}
    with who.gateway.stub() as stub:
        call = stub.StreamEditImage(
            stream_messages(parameters, [PHOTO]), metadata=metadata, timeout=60
        )
        for event in call:
            seen.setdefault(str(event.WhichOneof("event")), time.monotonic())
    assert seen["result"] - seen["partial_image"] > 0.5


def test_a_large_one_goes_in_pieces_of_a_mebibyte() -> None:
    data = bytes(range(256)) * 10_000
    pieces = list(partial_image(1, Picture("image/png", data, 3, 2), False, 1_048_576))
    assert [len(piece.data) for piece in pieces] == [1_048_576, 1_048_576, 462_848]
    assert [piece.complete for piece in pieces] == [False, False, True]
    assert b"".join(piece.data for piece in pieces) == data
