"""Reads what a catalogue says of money: a model's prices, and the most tokens an edit takes."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal, InvalidOperation

from server.catalog_row import Row
from server.prices import MEGAPIXEL, PicturePrice, Prices, TokenBounds
from server.sizes import Size, parse_size

QUALITIES = ("low", "medium", "high")
_NANO = 10**9
_MOST = 10**6  # dollars: far above any price, and far below what 64 bits of nano-dollars hold


def read_prices(row: Row) -> tuple[Prices, Mapping[str, str]]:
    """Return a model's prices, and the same as decimal strings in US dollars by kind.

    Raises `CatalogError`.
    """
    pricing, nanos = {}, {}
    for key in ("prompt", "image_token", "image_output", "image"):
        if key in row:
            pricing[key], nanos[key] = _price(row, key)
    images = []
    for index, table in enumerate(row.take("images", list, [])):
        name, text, price = _picture_price(Row(f"{row.place}.images[{index}]", table))
        if name in pricing:
            raise row.fail(f'"images" has the same quality and size twice: {name}')
        pricing[name] = text
        images.append(price)
    if not pricing:
        raise row.fail("a price is missing: prompt, image_token, image_output, image or images")
    if images and "image" in pricing:
        raise row.fail('"image" and "images" exclude each other')
    row.done()
    return Prices(**nanos, images=tuple(images)), pricing


def read_bounds(row: Row) -> TokenBounds:
    """Return the most tokens of an edit; raises `CatalogError`."""
    rates = Row(
        f"{row.place}.output_tokens_per_megapixel", row.take("output_tokens_per_megapixel", dict)
    )
    output = {quality: _count(rates, quality) for quality in QUALITIES if quality in rates}
    rates.done()
    if not output:
        raise rates.fail(f"needs at least one of {', '.join(QUALITIES)}")
    bounds = TokenBounds(
        picture=_count(row, "image_tokens_per_picture"),
        output=output,
        beside=_count(row, "other_output_tokens"),
        pixels=_pixels(row, "megapixels"),
    )
    row.done()
    return bounds


def _price(row: Row, key: str) -> tuple[str, int]:
    text = row.take(key, str)
    try:
        nano = Decimal(text) * _NANO
    except InvalidOperation:
        raise row.fail(f'"{key}" must be US dollars in decimals, not "{text}"') from None
    if not nano.is_finite() or not 0 <= nano <= _MOST * _NANO or nano != int(nano):
        raise row.fail(f'"{key}" must be a whole number of nano-dollars, not "{text}"')
    return text, int(nano)


def _picture_price(row: Row) -> tuple[str, str, PicturePrice]:
    """Return the name that a price by quality and size is shown under, its text and itself."""
    quality, size = row.optional("quality", str), row.optional("size", str)
    if quality is None and size is None:
        raise row.fail('"quality" or "size" is missing; a price for all is "image"')
    if quality is not None and quality not in QUALITIES:
        raise row.fail(f'"quality" is "{quality}", not one of {", ".join(QUALITIES)}')
    measured = None if size is None else _size(row, size)
    text, nanos = _price(row, "price")
    row.done()
    name = "_".join(("image", *filter(None, (quality, size))))
    return name, text, PicturePrice(nanos, quality, measured)


def _size(row: Row, text: str) -> Size:
    try:
        size = parse_size(text)
    except ValueError as error:
        raise row.fail(str(error)) from None
    if size is None:
        raise row.fail('"size" must be WIDTHxHEIGHT; leave it out for every size')
    return size


def _count(row: Row, key: str) -> int:
    value = row.take(key, int)
    if not 0 < value <= 10**6:
        raise row.fail(f'"{key}" must be from 1 to 1000000 tokens, not {value}')
    return value


def _pixels(row: Row, key: str) -> int:
    text = row.take(key, str)
    try:
        pixels = Decimal(text) * MEGAPIXEL
    except InvalidOperation:
        pixels = Decimal("NaN")
    if not pixels.is_finite() or not MEGAPIXEL <= pixels <= 100 * MEGAPIXEL:
        raise row.fail(f'"{key}" must be from "1" to "100" megapixels, not "{text}"')
    return int(pixels.to_integral_value(ROUND_CEILING))
