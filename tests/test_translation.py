"""Parameters in the words of a route: sent, made by the gateway, or said to be ignored."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.catalog import Catalog, Route
from server.catalog_file import load
from server.domain import EditRequest, OutputFormat
from server.translation import translate

PROVIDERS = ("openai", "openrouter", "siliconflow")
CATALOG: Catalog = load(None, PROVIDERS, PROVIDERS)
PLAIN = EditRequest(model="", prompt="p", images=(b"",))


def route(alias: str, index: int = 0) -> Route:
    return CATALOG.routes(CATALOG.find(alias))[index]


OPENAI_1 = route("openai/gpt-image-1.5")
OPENAI_2 = route("openai/gpt-image-2", 1)
OPENROUTER = route("openai/gpt-image-2")
KONTEXT = route("black-forest-labs/flux-kontext-pro")
QWEN = route("qwen/qwen-image-edit")
JPEG, WEBP = OutputFormat.JPEG, OutputFormat.WEBP

# route, what is asked, what is sent, what is said to be ignored
TABLE = [
    (OPENAI_1, {}, {"output_format": "png"}, set()),
    (OPENAI_1, {"size": "auto"}, {"size": "auto", "output_format": "png"}, set()),
    (OPENAI_1, {"size": "800x800"}, {"size": "1024x1024", "output_format": "png"}, set()),
    (OPENAI_1, {"size": "900x1300"}, {"size": "1024x1536", "output_format": "png"}, set()),
    (
        OPENAI_1,
        {"input_fidelity": "high"},
        {"input_fidelity": "high", "output_format": "png"},
        set(),
    ),
    (OPENAI_1, {"moderation": "low"}, {"output_format": "png"}, {"moderation"}),
    (OPENAI_1, {"moderation": "auto"}, {"output_format": "png"}, set()),
    (OPENAI_1, {"seed": 0}, {"output_format": "png"}, {"seed"}),
    (OPENAI_1, {"user": "u"}, {"user": "u", "output_format": "png"}, set()),
    (
        OPENAI_1,
        {"output_format": JPEG, "output_compression": 40},
        {"output_format": "jpeg", "output_compression": 40},
        set(),
    ),
    (OPENAI_1, {"output_compression": 40}, {"output_format": "png"}, {"output_compression"}),
    (OPENAI_2, {"size": "1920x1080"}, {"size": "1920x1088", "output_format": "png"}, set()),
    (OPENAI_2, {"input_fidelity": "high"}, {"output_format": "png"}, {"input_fidelity"}),
    (
        OPENAI_2,
        {"background": "transparent"},
        {"background": "transparent", "output_format": "png"},
        set(),
    ),
    (OPENROUTER, {"size": "1024x1536"}, {"aspect_ratio": "2:3"}, set()),
    (OPENROUTER, {"size": "auto"}, {}, set()),
    (OPENROUTER, {"quality": "low"}, {"quality": "low"}, set()),
    (OPENROUTER, {"output_format": WEBP, "output_compression": 9}, {}, set()),
    (OPENROUTER, {"background": "transparent"}, {}, {"background"}),
    (OPENROUTER, {"background": "opaque"}, {"background": "opaque"}, set()),
    (OPENROUTER, {"seed": 5, "user": "u", "moderation": "low"}, {}, {"seed", "moderation"}),
    (KONTEXT, {"size": "2100x900"}, {"aspect_ratio": "21:9", "output_format": "png"}, set()),
    (KONTEXT, {"output_format": JPEG}, {"output_format": "jpeg"}, set()),
    (KONTEXT, {"output_format": WEBP}, {}, set()),
    (KONTEXT, {"output_format": JPEG, "output_compression": 40}, {}, set()),
    (KONTEXT, {"seed": 5}, {"seed": 5, "output_format": "png"}, set()),
    (KONTEXT, {"seed": 9_999_999_999}, {"seed": 9_999_999_999, "output_format": "png"}, set()),
    (KONTEXT, {"seed": -1}, {"output_format": "png"}, {"seed"}),
    (KONTEXT, {"seed": 10_000_000_000}, {"output_format": "png"}, {"seed"}),
    (QWEN, {"size": "640x480", "quality": "auto", "background": "opaque"}, {}, set()),
    (QWEN, {"quality": "high", "background": "transparent"}, {}, {"quality", "background"}),
    (QWEN, {"seed": 0}, {"seed": 0}, set()),
]


@pytest.mark.parametrize(("route", "asked", "sent", "ignored"), TABLE)
def test_a_route_gets_its_own_words_and_nothing_else(
    route: Route, asked: dict[str, object], sent: dict[str, object], ignored: set[str]
) -> None:
    translation = translate(replace(PLAIN, **asked), route, canvas=None)
    assert (translation.fields, translation.ignored) == (sent, ignored)


@pytest.mark.parametrize("route", [OPENAI_1, OPENAI_2, KONTEXT])
def test_what_is_pasted_afterwards_is_asked_for_without_loss(route: Route) -> None:
    asked = replace(PLAIN, output_format=JPEG, output_compression=10)
    fields = translate(asked, route, canvas=(1024, 1024)).fields
    assert "output_format" not in fields
    assert "output_compression" not in fields


# route, the input's size, what is asked as size, what is sent: in another shape nothing could be
# put back, so the input's own is asked for where the upstream has it.
CANVASES = [
    (OPENAI_2, (1500, 1000), None, {"size": "1504x1008"}),
    (OPENAI_2, (1500, 1000), "auto", {"size": "1504x1008"}),
    (OPENAI_2, (1500, 1000), "1024x1024", {"size": "1024x1024"}),
    (OPENAI_1, (768, 512), None, {"size": "1536x1024"}),
    (OPENAI_1, (640, 480), None, {}),
    (OPENAI_1, (640, 480), "auto", {"size": "auto"}),
    (OPENROUTER, (640, 480), None, {"aspect_ratio": "4:3"}),
    (OPENROUTER, (650, 480), None, {}),
    (KONTEXT, (900, 2100), None, {"aspect_ratio": "9:21"}),
    (QWEN, (640, 480), None, {}),
]


@pytest.mark.parametrize(("route", "canvas", "size", "sent"), CANVASES)
def test_where_pixels_are_put_back_the_inputs_shape_is_asked_for(
    route: Route, canvas: tuple[int, int], size: str | None, sent: dict[str, str]
) -> None:
    fields = translate(replace(PLAIN, size=size), route, canvas=canvas).fields
    assert {name: fields[name] for name in fields if name in {"size", "aspect_ratio"}} == sent


# route, the input's size, what is sent for size=auto without a mask: the input's shape, at about a
# megapixel whatever its own size is.
AUTOS = [
    (OPENAI_2, (4000, 3000), {"size": "1184x880"}),
    (OPENAI_2, (300, 200), {"size": "1248x832"}),
    (OPENAI_2, (4000, 100), {"size": "1760x592"}),
    (OPENAI_1, (640, 480), {"size": "1536x1024"}),
    (OPENAI_1, (500, 500), {"size": "1024x1024"}),
    (OPENROUTER, (640, 480), {"aspect_ratio": "4:3"}),
    (KONTEXT, (900, 2000), {"aspect_ratio": "9:21"}),
    (QWEN, (640, 480), {}),
]


@pytest.mark.parametrize(("route", "first", "sent"), AUTOS)
def test_auto_takes_the_inputs_shape(
    route: Route, first: tuple[int, int], sent: dict[str, str]
) -> None:
    translation = translate(replace(PLAIN, size="auto"), route, canvas=None, first=first)
    fields = translation.fields
    assert {name: fields[name] for name in fields if name in {"size", "aspect_ratio"}} == sent
    assert translation.ignored == set()
    assert (
        not {"size", "aspect_ratio"}
        & translate(PLAIN, route, canvas=None, first=first).fields.keys()
    )


@given(st.integers(1, 16_383), st.integers(1, 16_383))
def test_auto_never_asks_for_more_than_a_megapixel(width: int, height: int) -> None:
    """Or a large picture would cost more than is held for one whose size is left open."""
    asked = replace(PLAIN, size="auto")
    sent = translate(asked, OPENAI_2, canvas=None, first=(width, height)).fields["size"]
    columns, rows = map(int, str(sent).split("x"))
    assert columns * rows <= 1024 * 1024


def test_compression_is_said_to_be_done_where_the_upstream_is_asked_for_it() -> None:
    asked = replace(PLAIN, output_format=JPEG, output_compression=40)
    assert translate(asked, OPENAI_1, canvas=None).compressed
    assert not translate(asked, OPENAI_1, canvas=(64, 64)).compressed
    assert not translate(asked, KONTEXT, canvas=None).compressed
    assert not translate(replace(PLAIN, output_format=JPEG), OPENAI_1, canvas=None).compressed
