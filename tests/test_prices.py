"""Prices: exact to the nano-dollar, and what a picture costs that no row lists."""

from __future__ import annotations

import ast
import random
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import server.accounts
from server.catalog_prices import read_prices
from server.catalog_row import CatalogError, Row
from server.domain import Tokens
from server.prices import MEGAPIXEL, PicturePrice, Prices, TokenBounds
from tests import whole

NANO = 10**9
texts = st.integers(0, 10**12).map(lambda nanos: f"{nanos // NANO}.{nanos % NANO:09}")
counts = st.integers(0, 2**40)


def some_usages(seed: int, number: int) -> Iterator[Tokens]:
    """Usages of every magnitude, also such as no vendor should report."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    for _ in range(number):
        yield Tokens(*(chance.getrandbits(chance.randrange(41)) for _ in range(4)))


def difference(pricing: dict[str, str], used: Iterable[Tokens]) -> Iterator[Fraction]:
    """How far the costs are, in dollars, from exact fractions of the catalogue's own texts."""
    prices, shown = read_prices(Row("pricing", dict(pricing)))
    assert shown == pricing
    exact = {kind: Fraction(price) for kind, price in pricing.items()}
    for tokens in used:
        text = min(tokens.input_text, tokens.input)
        expected = (
            exact["image"]
            + exact["prompt"] * text
            + exact["image_token"] * (tokens.input - text)
            + exact["image_output"] * tokens.output
        )
        cost = prices.cost(tokens)
        assert type(cost) is int
        yield Fraction(cost, NANO) - expected


price_lists = st.fixed_dictionaries(
    dict.fromkeys(("prompt", "image_token", "image_output", "image"), texts)
)


@settings(max_examples=whole.of(100, 30))
@given(price_lists, st.integers())
def test_100_000_usages_cost_what_exact_fractions_say(pricing: dict[str, str], seed: int) -> None:
    assert set(difference(pricing, some_usages(seed, 1_000))) == {0}


@given(price_lists, st.builds(Tokens, counts, counts, counts, counts))
def test_a_usage_costs_what_exact_fractions_say(pricing: dict[str, str], used: Tokens) -> None:
    assert list(difference(pricing, [used])) == [0]


LISTED = Prices(
    images=(
        PicturePrice(11, "low", (1024, 1024)),
        PicturePrice(16, "low", (1536, 1024)),
        PicturePrice(42, "medium", (1024, 1024)),
        PicturePrice(63, "medium", (1536, 1024)),
        PicturePrice(167, "high", (1024, 1024)),
    )
)
MIXED = Prices(
    images=(
        PicturePrice(5, quality="low"),
        PicturePrice(9, "low", (64, 64)),
        PicturePrice(7, size=(32, 32)),
    )
)
# prices, quality, size, nano-dollars
PICTURES = [
    (LISTED, "low", (1024, 1024), 11),
    (LISTED, "low", (1536, 1024), 16),
    (LISTED, "low", (1024, 1536), 16),  # not listed: the dearest of its quality
    (LISTED, "low", None, 16),
    (LISTED, "high", (1536, 1024), 167),
    (LISTED, "auto", (1536, 1024), 63),  # any quality of that size
    (LISTED, None, (1024, 1024), 167),
    (LISTED, None, None, 167),
    (LISTED, "max", (1024, 1024), 167),  # neither quality nor price known: the dearest
    (LISTED, "auto", (8, 8), 167),
    (MIXED, "low", (8, 8), 5),
    (MIXED, "low", (64, 64), 9),
    (MIXED, "low", (32, 32), 7),
    (MIXED, "high", (32, 32), 7),
    (MIXED, "high", (8, 8), 7),
    (Prices(image=3), "high", (8, 8), 3),
    (Prices(), None, None, 0),
]


@pytest.mark.parametrize(("prices", "quality", "size", "nanos"), PICTURES)
def test_a_picture_costs_what_its_row_says_or_the_dearest(
    prices: Prices, quality: str | None, size: tuple[int, int] | None, nanos: int
) -> None:
    assert prices.picture(quality, size) == nanos
    assert prices.cost(Tokens(), quality, size) == nanos


def test_tokens_and_pictures_add_up() -> None:
    prices = Prices(prompt=2, image_output=3, images=(PicturePrice(100, "low"),))
    assert prices.by_token
    assert not LISTED.by_token
    assert prices.cost(Tokens(10, 10, 0, 5), "low") == 100 + 20 + 15


def test_prices_by_quality_and_size_are_read_and_shown() -> None:
    rows = [
        {"quality": "low", "size": "1024x1024", "price": "0.011"},
        {"quality": "high", "price": "0.25"},
        {"size": "512x512", "price": "0.000000001"},
    ]
    prices, shown = read_prices(Row("pricing", {"images": rows}))
    assert prices == Prices(
        images=(
            PicturePrice(11_000_000, "low", (1024, 1024)),
            PicturePrice(250_000_000, "high"),
            PicturePrice(1, None, (512, 512)),
        )
    )
    assert shown == {
        "image_low_1024x1024": "0.011",
        "image_high": "0.25",
        "image_512x512": "0.000000001",
    }


ROW = {"quality": "low", "size": "1024x1024", "price": "0.011"}
BROKEN = [
    ({"images": [ROW, ROW]}, "pricing: .*twice: image_low_1024x1024"),
    ({"images": [ROW], "image": "1"}, "exclude each other"),
    ({"images": [ROW, {"quality": "low"}]}, r'pricing.images\[1\]: "price" is missing'),
    ({"images": [{"price": "1"}]}, r'pricing.images\[0\]: "quality" or "size" is missing'),
    ({"images": [ROW | {"quality": "auto"}]}, '"quality" is "auto"'),
    ({"images": [ROW | {"size": "auto"}]}, "leave it out"),
    ({"images": [ROW | {"size": "1:1"}]}, r"pricing.images\[0\]: .*1:1"),
    ({"images": [ROW | {"price": "1e-10"}]}, "nano-dollars"),
    ({"images": [ROW | {"price": 1}]}, "must be of type str"),
    ({"images": [ROW | {"colour": "red"}]}, "unknown: colour"),
    ({"images": ["low"]}, "must be a table"),
    ({"images": []}, "price is missing"),
    ({"image": "1000000.01"}, "nano-dollars"),
    ({"image": "Infinity"}, "nano-dollars"),
]


@pytest.mark.parametrize(("table", "complaint"), BROKEN, ids=range(len(BROKEN)))
def test_broken_prices_are_refused_by_row(table: dict[str, object], complaint: str) -> None:
    with pytest.raises(CatalogError, match=complaint):
        read_prices(Row("pricing", table))


BOUNDS = TokenBounds(picture=1, output={"low": 200, "high": 7000}, beside=50, pixels=MEGAPIXEL)


@pytest.mark.parametrize(
    ("quality", "pixels", "tokens"),
    [
        ("low", MEGAPIXEL, 250),
        ("low", 1, 250),  # never less than a megapixel's
        ("low", MEGAPIXEL + 1, 251),  # rounded up
        ("high", 2 * MEGAPIXEL, 14_050),
        ("medium", MEGAPIXEL, 7050),
        ("auto", MEGAPIXEL, 7050),
    ],
)
def test_tokens_out_are_bounded_by_quality_and_area(quality: str, pixels: int, tokens: int) -> None:
    assert BOUNDS.outgoing(quality, pixels) == tokens


MONEY = [
    Path(str(server.accounts.__file__)).with_name("usage.py"),
    *(Path(str(server.__file__)).with_name(f"{name}.py") for name in ("prices", "ceiling")),
]


@pytest.mark.parametrize("file", MONEY, ids=lambda file: file.name)
def test_where_money_is_counted_there_is_no_float(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        assert not (isinstance(node, ast.Name) and node.id == "float")
        assert not (isinstance(node, ast.Constant) and isinstance(node.value, float))
        assert not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div))
