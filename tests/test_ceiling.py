"""The hold covers whatever an edit may come to: every model, route, quality and size."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sandbox import sizes as sandbox_sizes
from sandbox.openai import OpenAI
from sandbox.openrouter import SIZES as RATIOS
from sandbox.openrouter import OpenRouter
from sandbox.wire import Order, Reply, Request
from server.catalog import Catalog, Model, Route
from server.catalog_file import load
from server.ceiling import MASK_WORDS, ceiling
from server.domain import EditRequest, MaskMethod, Tokens
from server.imaging.coverage import CoveragePlane
from server.imaging.mask_words import region_instruction, second_image_instruction
from server.providers import openai, openrouter
from server.providers.base import Answer, Delivery
from server.sizes import parse_size
from server.translation import translate

PROVIDERS = ("openai", "openrouter", "siliconflow")
CATALOG = load(None, PROVIDERS, PROVIDERS)
BY_TOKEN = [model for model in CATALOG.models if model.prices.by_token]
QUALITIES = (None, "low", "medium", "high", "auto")
SIZES = (
    (None, "auto", "1024x1024", "1536x1024", "1024x1536", "512x512", "100x16000")
    + ("2048x2048", "3840x2160", "1920x1080", "832x832", "16383x16383")
)  # fmt: skip
PICTURES = [Image.new("L", size) for size in ((1024, 1024), (4000, 3000), (64, 64), (300, 2900))]
PROMPT = "make the sky red 🌅"
REQUEST = Request("POST", "/", {}, b"")
PIXEL = b"\x89PNG\r\n\x1a\n"


CASES = [(model, route) for model in BY_TOKEN for route in model.routes]


def order(
    route: Route, size: str | None, quality: str | None, image: Image.Image, *, masked: bool
) -> Order:
    """What the sandbox makes of an edit by `route`, as its vendor's rules read the fields."""
    canvas = image.size if masked else None
    request = EditRequest(model="a/b", prompt="", images=(), size=size, quality=quality)
    fields = translate(request, route, canvas=canvas).fields
    parameter = route.parameters["size"]
    sent = str(fields.get(parameter.name, "auto"))
    if route.provider == "openrouter":
        chosen = RATIOS.get(sent) or sandbox_sizes.nearest(image.size, RATIOS.values())
    else:
        asked = parse_size(sent)
        chosen = asked or sandbox_sizes.nearest(image.size, sandbox_sizes.STANDARD)
    words = second_image_instruction(1) if masked else ""
    by_picture = route.mask_method is MaskMethod.SECOND_IMAGE
    return Order(
        model=route.model,
        prompt=f"{words}\n\n{PROMPT}" if by_picture and masked else PROMPT,
        images=(image,),
        source=b"",
        size=chosen,
        mask=Image.new("L", image.size) if masked else None,
        quality=str(fields.get("quality", "auto")).replace("auto", "medium"),
    )


def reported(route: Route, made: Order) -> Tokens:
    """The tokens that our provider reads from the sandbox's own answer."""
    vendor, provider = (
        (OpenRouter(), openrouter) if route.provider == "openrouter" else (OpenAI(), openai)
    )
    reply: Reply = vendor.deliver(REQUEST, made, [PIXEL])
    delivered = provider.read(Answer(200, {}, reply.body))
    assert isinstance(delivered, Delivery)
    return delivered.tokens


@pytest.mark.parametrize(
    ("model", "route"), CASES, ids=lambda one: getattr(one, "alias", None) or one.provider
)
def test_what_the_sandbox_reports_never_costs_more(model: Model, route: Route) -> None:
    dearest = 0
    for image in PICTURES:
        for masked in (False, True):
            for size in SIZES:
                for quality in QUALITIES:
                    tokens = reported(route, order(route, size, quality, image, masked=masked))
                    cost = model.prices.cost(tokens, quality, image.size)
                    for canvas in (None, image.size):
                        held = ceiling(
                            model,
                            route,
                            prompt_bytes=len(PROMPT.encode()),
                            image_count=1,
                            masked=masked,
                            size=size,
                            quality=quality,
                            canvas=canvas,
                        )
                        assert 0 < cost <= held, (image.size, masked, size, quality, canvas)
                    dearest = max(dearest, cost)
    assert dearest > 100_000_000  # the sandbox reports what edits really come to


def most(model: Model, route: Route, **changes: object) -> int:
    asked: dict[str, object] = {
        "prompt_bytes": 10,
        "image_count": 1,
        "masked": False,
        "size": None,
        "quality": None,
    }
    return ceiling(model, route, **asked | changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return CATALOG


def named(catalog: Catalog, alias: str, provider: str) -> tuple[Model, Route]:
    model = catalog.find(alias)
    (route,) = [route for route in model.routes if route.provider == provider]
    return model, route


def test_the_vendors_own_sample_is_covered_with_room(catalog: Catalog) -> None:
    model, route = named(catalog, "openai/gpt-image-2", "openrouter")
    held = most(model, route, prompt_bytes=80, masked=True, quality="high", size="1024x1024")
    cost = model.prices.cost(Tokens(1809, 20, 1789, 7106))
    assert cost <= held <= 2 * cost


def test_what_makes_an_edit_dearer_raises_its_hold(catalog: Catalog) -> None:
    model, route = named(catalog, "openai/gpt-image-2", "openai")
    base = most(model, route, size="1024x1024", quality="low")
    prompt, picture = model.prices.prompt, model.prices.image_token
    assert most(model, route, size="1024x1024", quality="low", prompt_bytes=110) == (
        base + 100 * max(prompt, picture)
    )
    for dearer in (
        {"image_count": 2},
        {"masked": True},
        {"quality": "medium"},
        {"size": "2048x2048"},
        {"quality": None},
    ):
        assert most(model, route, **{"size": "1024x1024", "quality": "low"} | dearer) > base


def test_a_quality_that_is_not_sent_is_held_for_as_the_dearest(catalog: Catalog) -> None:
    model, route = named(catalog, "openai/gpt-image-2", "openai")
    high = most(model, route, quality="high")
    assert most(model, route) == most(model, route, quality="auto") == high
    assert most(model, route, quality="low") < high


def test_a_masked_edit_without_a_size_may_be_as_large_as_its_picture(catalog: Catalog) -> None:
    model, route = named(catalog, "openai/gpt-image-2", "openai")
    small = most(model, route, masked=True, canvas=(1024, 1024))
    large = most(model, route, masked=True, canvas=(3840, 2160))
    unknown = most(model, route, masked=True)
    assert small < large <= unknown
    # Only pixels that are put back make the upstream keep the size.
    assert most(model, route, canvas=(3840, 2160)) == most(model, route)


@pytest.mark.parametrize("model", [model for model in CATALOG.models if not model.prices.by_token])
def test_a_flat_price_is_its_own_hold(model: Model) -> None:
    for route in model.routes:
        assert most(model, route, masked=True, prompt_bytes=10**6) == model.prices.image
        assert most(model, route) == model.prices.cost(Tokens(5, 5, 5, 5))


def test_a_size_that_is_none_is_refused(catalog: Catalog) -> None:
    model, route = named(catalog, "openai/gpt-image-2", "openai")
    with pytest.raises(ValueError, match="neither"):
        most(model, route, size="big")


sides = st.integers(1, 400)
boxes = st.tuples(*[st.floats(0, 1)] * 4)


@given(sides, sides, st.lists(boxes, min_size=1, max_size=5), st.booleans())
def test_no_instruction_is_longer_than_what_is_held_for(
    width: int, height: int, drawn: list[tuple[float, ...]], inverted: bool
) -> None:
    mask = Image.new("L", (width, height), 255 * inverted)
    for left, top, wide, high in drawn:
        x, y = int(left * (width - 1)), int(top * (height - 1))
        mask.paste(
            255 - 255 * inverted, (x, y, x + 1 + int(wide * width), y + 1 + int(high * height))
        )
    plane = CoveragePlane.from_levels(mask)
    if plane.bounding_box is not None:
        assert len(f"{region_instruction(plane)}\n\n".encode()) <= MASK_WORDS


def test_no_instruction_about_pictures_is_longer_either() -> None:
    assert max(len(f"{second_image_instruction(n)}\n\n") for n in range(1, 17)) <= MASK_WORDS
