"""The catalogue: what is sold, who can be routed, and complaints that name the row."""

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.catalog import Catalog
from server.catalog_file import BUILT_IN, CatalogError, load
from server.domain import EditError, MaskMethod, Situation, Tokens
from server.prices import PicturePrice, Prices, TokenBounds
from server.translation import supported_parameters

PROVIDERS = ("openai", "openrouter", "siliconflow")

# alias, provider, upstream model, mask method, picture fields, price of an edit if it has one
GIVEN = [
    ("openai/gpt-image-2", "openrouter", "openai/gpt-image-2", "second_image", (), None),
    ("openai/gpt-image-1.5", "openai", "gpt-image-1.5", "native", (), None),
    ("openai/gpt-image-1", "openai", "gpt-image-1", "native", (), None),
    ("black-forest-labs/flux-kontext-pro", "siliconflow", "black-forest-labs/FLUX.1-Kontext-pro")
    + ("instruction", ("input_image",), "0.04"),
    ("black-forest-labs/flux-kontext-max", "siliconflow", "black-forest-labs/FLUX.1-Kontext-max")
    + ("instruction", ("input_image",), "0.08"),
    ("black-forest-labs/flux-kontext-dev", "siliconflow", "black-forest-labs/FLUX.1-Kontext-dev")
    + ("instruction", ("image",), "0.015"),
    (
        "qwen/qwen-image-edit",
        "siliconflow",
        "Qwen/Qwen-Image-Edit",
        "instruction",
        ("image",),
        "0.04",
    ),
]


def test_what_the_vendors_contracts_say_of_bills() -> None:
    """OpenRouter bills pictures alone, and no call that is hung up on; of others none knows."""
    facts = load(BUILT_IN, PROVIDERS, PROVIDERS).providers
    said = {name: (row.failures_are_free, row.cancel_stops_billing) for name, row in facts.items()}
    neither = (False, False)
    assert said == {"openai": neither, "openrouter": (True, True), "siliconflow": neither}


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load(None, PROVIDERS, PROVIDERS)


@pytest.mark.parametrize(("alias", "provider", "model", "method", "fields", "price"), GIVEN)
def test_the_seven_given_models_go_where_they_should(
    catalog: Catalog,
    alias: str,
    provider: str,
    model: str,
    method: str,
    fields: tuple[str, ...],
    price: str | None,
) -> None:
    row = catalog.find_editor(alias)
    route = catalog.routes(row)[0]
    assert (route.provider, route.model) == (provider, model)
    assert route.mask_method is MaskMethod(method)
    assert route.image_fields == fields
    assert row.pricing.get("image") == price


def test_gpt_image_2_has_its_vendor_as_second_route(catalog: Catalog) -> None:
    routes = catalog.routes(catalog.find("openai/gpt-image-2"))
    assert [(route.provider, route.model) for route in routes] == [
        ("openrouter", "openai/gpt-image-2"),
        ("openai", "gpt-image-2"),
    ]


def test_with_one_key_only_its_routes_are_left() -> None:
    catalog = load(None, PROVIDERS, ["openai"])
    assert [route.provider for route in catalog.routes(catalog.find("openai/gpt-image-2"))] == [
        "openai"
    ]
    with pytest.raises(EditError, match="not configured") as caught:
        catalog.find("qwen/qwen-image-edit")
    assert caught.value.situation is Situation.MODEL_MISMATCH


def test_without_keys_there_are_no_models() -> None:
    assert load(None, PROVIDERS, []).models == []


def test_qwens_masks_go_to_the_upstream_that_takes_several_pictures(catalog: Catalog) -> None:
    plain, masked = catalog.routes(catalog.find("qwen/qwen-image-edit"))
    assert (plain.model, plain.masked, plain.max_images) == ("Qwen/Qwen-Image-Edit", None, 1)
    assert (masked.model, masked.masked) == ("Qwen/Qwen-Image-Edit-2509", True)
    assert (masked.mask_method, masked.max_images) == ("second_image", 2)


def test_shutdown_dates_are_the_vendors(catalog: Catalog) -> None:
    assert catalog.find("openai/gpt-image-1").expiration == date(2026, 10, 23)
    assert catalog.find("openai/gpt-image-1.5").expiration == date(2026, 12, 1)


def test_models_that_outlive_december_are_there(catalog: Catalog) -> None:
    aliases = {model.alias for model in catalog.models}
    assert {
        "openai/gpt-image-2.5-sunburst",
        "openai/gpt-image-2.5-flare",
        "openai/gpt-image-2.6-sunburst",
        "openai/gpt-image-2.6-flare",
        "qwen/qwen-image-edit-2509",
    } <= aliases
    assert catalog.routes(catalog.find("qwen/qwen-image-edit-2509"))[0].max_images == 3


def test_supported_parameters_are_what_the_first_route_honours(catalog: Catalog) -> None:
    model = catalog.find("openai/gpt-image-2")
    supported = supported_parameters(model, catalog.routes(model))
    assert {"prompt", "image", "mask", "size", "quality", "output_format"} <= set(supported)
    assert "seed" not in supported
    assert "input_fidelity" not in supported


BASE = BUILT_IN.read_text(encoding="utf-8")
ROW = """
[[models]]
alias = "acme/painter"
name = "Painter"
description = "Paints."
created = 2026-01-01
features = ["image_edit"]
pricing = { image = "0.01" }
[[models.routes]]
provider = "openai"
model = "painter-1"
mask_method = "native"
max_images = 1
parameters = "openai_1"
"""


def changed(old: str, new: str) -> str:
    assert old in ROW
    return BASE + ROW.replace(old, new)


CEILING = """
[ceilings.acme]
image_tokens_per_picture = 10
output_tokens_per_megapixel = { low = 20, high = 40 }
other_output_tokens = 5
megapixels = "1.5"
"""
BY_TOKEN = """pricing = { prompt = "0.000001" }
ceiling = "acme\""""


def by_token(old: str = "", new: str = "") -> str:
    """The row with prices by token and its ceiling, in which `old` is `new`."""
    whole = CEILING + ROW.replace('pricing = { image = "0.01" }', BY_TOKEN)
    assert old in whole
    return BASE + whole.replace(old, new)


BROKEN = [
    (by_token('ceiling = "acme"'), 'acme/painter.*"ceiling" is missing.*gpt_image_2.*acme'),
    (by_token('ceiling = "acme"', 'ceiling = "acne"'), 'acme/painter.*"ceiling" is "acne"'),
    (by_token('prompt = "0.000001"', 'image = "1"'), "acme/painter.*unknown: ceiling"),
    (by_token("low = 20", "low = 0"), "ceilings.acme.output_tokens_per_megapixel.*low.*from 1"),
    (by_token("low = 20", "lowest = 20"), "ceilings.acme.output.*unknown: lowest"),
    (by_token("low = 20, high = 40", ""), "ceilings.acme.output.*at least one of low, medium"),
    (by_token("low = 20", "low = 2.5"), "must be of type int"),
    (by_token("other_output_tokens = 5"), 'ceilings.acme: "other_output_tokens" is missing'),
    (by_token("picture = 10", "picture = -1"), "image_tokens_per_picture.*from 1 to 1000000"),
    (by_token('"1.5"', '"0.5"'), 'ceilings.acme: "megapixels" must be from "1" to "100"'),
    (by_token('"1.5"', '"many"'), "megapixels.*many"),
    (by_token('"1.5"', "1.5"), "megapixels.*type str"),
    (by_token("picture = 10", "picture = 10\ncolour = 3"), "ceilings.acme: unknown: colour"),
    (changed('image = "0.01"', 'images = [{ price = "1" }]'), "acme/painter.*images.0.*quality"),
    ("not toml [", "catalog.toml"),
    (BASE + "\nmodels = 3", "catalog.toml"),
    (changed('alias = "acme/painter"', 'alias = "painter"'), "painter.*brand/model"),
    (changed('alias = "acme/painter"', 'alias = "openai/gpt-image-2"'), "models.12.*twice"),
    (changed('provider = "openai"', 'provider = "acme"'), "acme/painter.*routes.0.*provider"),
    (changed('"native"', '"nativ"'), 'mask_method" is "nativ"'),
    (changed('"openai_1"', '"openai_9"'), 'parameters" is "openai_9"'),
    (changed('image = "0.01"', 'image = "free"'), "acme/painter.*pricing.*image"),
    (changed('image = "0.01"', 'image = "0.0000000001"'), "whole number of nano-dollars"),
    (changed('image = "0.01"', 'image = "-1"'), "nano-dollars"),
    (changed('image = "0.01"', 'image = "NaN"'), "nano-dollars"),
    (changed('image = "0.01"', "image = 0.01"), "must be of type str"),
    (changed('{ image = "0.01" }', "{}"), "price is missing"),
    (changed("created = 2026-01-01\n", ""), '"created" is missing'),
    (changed("created = 2026-01-01", 'created = "soon"'), "must be of type date"),
    (changed("max_images = 1", "max_images = 0"), "max_images"),
    (changed("max_images = 1", "max_images = true"), "must be of type int"),
    (changed("max_images = 1", "max_imagse = 1"), "max_images"),
    (changed("max_images = 1", "max_images = 1\ncolour = 3"), "unknown: colour"),
    (BASE.replace("https://api.openai.com", "http://api.openai.com"), "base_url.*https"),
    (BASE.replace("[providers.openai]", "[providers.acme]"), "providers.acme: unknown"),
    (BASE.replace('"21:9",', '"21x",', 1), "openrouter_gpt_image_2.size.*21x"),
]


@pytest.mark.parametrize(("text", "complaint"), BROKEN)
def test_a_broken_catalogue_is_refused_by_row(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "catalog.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(CatalogError, match=complaint):
        load(file, PROVIDERS, PROVIDERS)


def test_a_catalogue_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="nowhere.toml"):
        load(tmp_path / "nowhere.toml", PROVIDERS, PROVIDERS)


def test_a_model_is_added_by_a_row_alone(tmp_path: Path) -> None:
    file = tmp_path / "catalog.toml"
    file.write_text(BASE + ROW, encoding="utf-8")
    assert load(file, PROVIDERS, PROVIDERS).find_editor("acme/painter").prices == Prices(
        image=10_000_000
    )


def test_a_ceiling_is_read(tmp_path: Path) -> None:
    file = tmp_path / "catalog.toml"
    file.write_text(by_token(), encoding="utf-8")
    assert load(file, PROVIDERS, PROVIDERS).find_editor("acme/painter").bounds == TokenBounds(
        picture=10, output={"low": 20, "high": 40}, beside=5, pixels=1_572_864
    )


def test_prices_by_quality_and_size_are_a_row_too(tmp_path: Path) -> None:
    file = tmp_path / "catalog.toml"
    images = 'images = [{ quality = "low", size = "1024x1024", price = "0.011" }]'
    file.write_text(changed('image = "0.01"', images), encoding="utf-8")
    model = load(file, PROVIDERS, PROVIDERS).find_editor("acme/painter")
    assert model.prices == Prices(images=(PicturePrice(11_000_000, "low", (1024, 1024)),))
    assert model.pricing == {"image_low_1024x1024": "0.011"}
    assert model.bounds is None


def test_every_model_with_token_prices_has_a_ceiling(catalog: Catalog) -> None:
    assert {model.alias for model in catalog.models if model.bounds is not None} == {
        model.alias for model in catalog.models if model.brand == "openai"
    }


def test_a_model_without_the_feature_cannot_edit(tmp_path: Path) -> None:
    file = tmp_path / "catalog.toml"
    file.write_text(changed('features = ["image_edit"]', "features = []"), encoding="utf-8")
    catalog = load(file, PROVIDERS, PROVIDERS)
    assert catalog.find("acme/painter").features == ()
    with pytest.raises(EditError, match="cannot edit") as caught:
        catalog.find_editor("acme/painter")
    assert caught.value.situation is Situation.MODEL_MISMATCH


def test_the_sample_of_the_contract_costs_what_it_says(catalog: Catalog) -> None:
    prices = catalog.find("openai/gpt-image-2").prices
    tokens = Tokens(input=1809, input_text=20, input_image=1789, output=7106)
    assert prices.cost(tokens) == 227_592_000


counts = st.integers(0, 10**9)


@given(counts, counts, counts)
def test_a_cost_is_whole_nano_dollars_and_never_below_the_dearest_reading(
    text: int, image: int, output: int
) -> None:
    prices = Prices(prompt=5_000, image_token=8_000, image_output=30_000, image=7)
    split = prices.cost(Tokens(text + image, text, image, output))
    assert split == 7 + text * 5_000 + image * 8_000 + output * 30_000
    assert prices.cost(Tokens(text + image, 0, 0, output)) >= split
