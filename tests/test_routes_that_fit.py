"""Which routes an edit may take: decided by pictures, mask and transparency, from the catalogue."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from server.catalog_file import BUILT_IN, CatalogError, load
from server.checks import routes_that_fit
from server.domain import EditError, EditRequest, Situation
from server.messages import model_message

PROVIDERS = ("openai", "openrouter", "siliconflow")
CATALOG = load(None, PROVIDERS, PROVIDERS)
PLAIN = EditRequest(model="", prompt="p", images=(b"",))


def fitting(alias: str, **changes: object) -> list[str]:
    """Return the upstreams' names of the routes that fit, in their order."""
    request = replace(PLAIN, **changes)
    routes = routes_that_fit(request, CATALOG.find(alias), CATALOG)
    return [f"{route.provider}:{route.model}" for route in routes]


def refusal(alias: str, **changes: object) -> EditError:
    with pytest.raises(EditError) as caught:
        fitting(alias, **changes)
    assert caught.value.situation is Situation.BAD_REQUEST
    return caught.value


# model, pictures it takes, and beside a mask
MOST = [
    (
        "openai/gpt-image-2",
        16,
        16,
    ),  # as a reference the mask is one of 16; the vendor's own has room
    ("openai/gpt-image-1.5", 16, 16),
    ("openai/gpt-image-2.6-flare", 16, 16),
    ("qwen/qwen-image-edit-2509", 3, 2),
    ("qwen/qwen-image-edit", 1, 1),
    ("black-forest-labs/flux-kontext-pro", 1, 1),
    ("black-forest-labs/flux-kontext-dev", 1, 1),
]


@pytest.mark.parametrize(("alias", "most", "beside_a_mask"), MOST)
def test_too_many_pictures_are_told_how_many_it_takes(
    alias: str, most: int, beside_a_mask: int
) -> None:
    for mask, limit, ending in ((None, most, "most."), (b"", beside_a_mask, "most beside a mask.")):
        assert fitting(alias, mask=mask, images=(b"",) * limit)
        told = refusal(alias, mask=mask, images=(b"",) * (limit + 1))
        assert told.field == "image"
        assert told.message.endswith(f"the model takes {limit} at the {ending}")
    model = CATALOG.find(alias)
    assert model_message(model, CATALOG.routes(model)).max_input_images == most


def test_with_the_mask_as_a_picture_the_last_place_is_its_own() -> None:
    sixteen = {"images": (b"",) * 16, "mask": b""}
    assert fitting("openai/gpt-image-2", **sixteen) == ["openai:gpt-image-2"]
    alone = load(None, PROVIDERS, ["openrouter"])
    with pytest.raises(EditError, match="takes 15 at the most beside a mask"):
        routes_that_fit(replace(PLAIN, **sixteen), alone.find("openai/gpt-image-2"), alone)


def test_a_mask_goes_first_to_the_route_made_for_masks() -> None:
    plain = "siliconflow:Qwen/Qwen-Image-Edit"
    assert fitting("qwen/qwen-image-edit") == [plain]
    assert fitting("qwen/qwen-image-edit", mask=b"") == [f"{plain}-2509", plain]


def test_transparency_is_routed_to_who_can_make_it() -> None:
    assert fitting("openai/gpt-image-2", background="transparent") == ["openai:gpt-image-2"]
    assert len(fitting("openai/gpt-image-2", background="opaque")) == 2


@pytest.mark.parametrize("alias", ["qwen/qwen-image-edit", "black-forest-labs/flux-kontext-max"])
def test_where_nobody_can_it_is_said_who_can(alias: str) -> None:
    told = refusal(alias, background="transparent")
    assert told.field == "background"
    assert "openai/gpt-image-2, openai/gpt-image-1.5" in told.message
    assert "png or webp" in told.message
    assert "qwen" not in told.message
    alone = load(None, PROVIDERS, ["siliconflow"])
    with pytest.raises(EditError, match="webp: none"):
        routes_that_fit(replace(PLAIN, background="transparent"), alone.find(alias), alone)


def test_a_catalogue_may_keep_masks_from_a_route_but_not_ask_for_them_everywhere(
    tmp_path: Path,
) -> None:
    text = BUILT_IN.read_text(encoding="utf-8")
    row = 'model = "black-forest-labs/FLUX.1-Kontext-dev"\n'
    file = tmp_path / "catalog.toml"
    file.write_text(text.replace(row, f"{row}masked = false\n"), encoding="utf-8")
    catalog = load(file, PROVIDERS, PROVIDERS)
    model = catalog.find("black-forest-labs/flux-kontext-dev")
    assert routes_that_fit(PLAIN, model, catalog)
    with pytest.raises(EditError, match="mask can not be used") as caught:
        routes_that_fit(replace(PLAIN, mask=b""), model, catalog)
    assert caught.value.field == "mask"
    file.write_text(text.replace(row, f"{row}masked = true\n"), encoding="utf-8")
    with pytest.raises(CatalogError, match=r"flux-kontext-dev.*one must take edits without"):
        load(file, PROVIDERS, PROVIDERS)
