"""Sizes: parsed strictly, and brought to the nearest thing an upstream takes."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.sizes import SAME_SHAPE, SizeRule, nearest_listed, parse_size

RULE = SizeRule(16, 3840, 3, 655_360, 8_294_400)
RATIOS = ["1:1", "3:2", "2:3", "4:3", "3:4", "16:9", "9:16", "21:9"]
edges = st.integers(1, 16_383)


@pytest.mark.parametrize(
    ("text", "size"),
    [("1024x1024", (1024, 1024)), ("1x16383", (1, 16_383)), ("auto", None)],
)
def test_a_size_is_read(text: str, size: tuple[int, int] | None) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text",
    ["", "1024", "1024X1024", "1024x", "0x10", "-1x10", "01x10", "1024x1024 ", "16384x1", "AUTO"]
    + ["1e3x1e3", "१०२४x1024", "1024x1024\n", "99999999999x1"],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="WIDTHxHEIGHT|pixels"):
        parse_size(text)


@pytest.mark.parametrize(
    ("wanted", "ratio"),
    [
        ((1024, 1024), "1:1"),
        ((1536, 1024), "3:2"),
        ((1920, 1080), "16:9"),
        ((1080, 1920), "9:16"),
        ((5000, 1000), "21:9"),
        ((900, 1200), "3:4"),
    ],
)
def test_a_size_becomes_the_nearest_aspect_ratio(wanted: tuple[int, int], ratio: str) -> None:
    assert nearest_listed(wanted, RATIOS) == ratio


def test_among_equal_shapes_the_nearest_area_wins_and_auto_is_no_size() -> None:
    assert nearest_listed((500, 500), ["auto", "2048x2048", "512x512"]) == "512x512"


@given(edges, edges)
def test_the_nearest_size_is_always_one_that_the_rule_allows(width: int, height: int) -> None:
    size = parse_size(RULE.nearest((width, height)))
    assert size is not None
    assert RULE.allows(size)


@given(st.integers(256, 16_383), st.integers(256, 16_383))
def test_the_shape_is_kept_where_the_rule_lets_it(width: int, height: int) -> None:
    ratio = width / height
    if not 1 / 3 <= ratio <= 3:
        return
    size = parse_size(RULE.nearest((width, height)))
    assert size is not None
    assert abs(math.log(size[0] / size[1] / ratio)) < 2 * SAME_SHAPE


@given(st.integers(1, 240), st.integers(1, 240))
def test_an_allowed_size_stays_as_it_is(columns: int, rows: int) -> None:
    size = (columns * 16, rows * 16)
    if RULE.allows(size):
        assert RULE.nearest(size) == f"{size[0]}x{size[1]}"
