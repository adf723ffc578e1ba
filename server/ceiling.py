"""The most that an edit can cost by a route: what is held before the upstream is called."""

from __future__ import annotations

from server.catalog import Model, Parameter, Route
from server.domain import EditRequest, MaskMethod
from server.sizes import Size, parse_ratio, parse_size
from server.translation import translate

MASK_WORDS = 700
"""Bytes that the longest instruction about a mask adds to a prompt."""
FRAMING = 64
"""Tokens that vendors count for wrapping a prompt, and again for each picture (32 were seen)."""


def ceiling(
    model: Model,
    route: Route,
    *,
    prompt_bytes: int,
    image_count: int,
    masked: bool,
    size: str | None,
    quality: str | None,
    canvas: Size | None = None,
) -> int:
    """Return the most nano-dollars that an edit can cost by `route`.

    `prompt_bytes` is the prompt's length in UTF-8, which bounds its tokens; `image_count` counts
    pictures without the mask; `size` and `quality` are as asked for; `canvas` is the first
    picture's size, as far as it is known. Raises `ValueError` for a size that is none. Where
    several routes may serve an edit, hold the dearest.
    """
    request = EditRequest(model=model.alias, prompt="", images=(), size=size, quality=quality)
    fields = translate(request, route, canvas=canvas if masked else None).fields
    sent_quality = _sent(fields, route.parameters.get("quality"))
    most = model.prices.picture(sent_quality, None)
    bounds = model.bounds
    if bounds is None:
        return most
    pictures, text = image_count, prompt_bytes + FRAMING * (image_count + 1)
    if masked:
        text += 0 if route.mask_method is MaskMethod.NATIVE else MASK_WORDS
        pictures += 0 if route.mask_method is MaskMethod.INSTRUCTION else 1
    pixels = _area(_sent(fields, route.parameters.get("size")))
    if size is None or parse_size(size) is None:
        if masked and canvas is None:
            pixels = _largest(route.parameters.get("size"))
        # The upstream chooses, or is asked for the canvas where the input's pixels are put back.
        pixels = max(pixels, bounds.pixels)
    # An upstream may leave open which of its tokens are text, and those then cost as pictures do.
    dearest = max(model.prices.prompt, model.prices.image_token)
    tokens_in = text + pictures * bounds.picture
    tokens_out = bounds.outgoing(sent_quality, pixels or bounds.pixels)
    return most + tokens_in * dearest + tokens_out * model.prices.image_output


def _sent(fields: dict[str, str | int], parameter: Parameter | None) -> str:
    """Return what the upstream is asked for, "auto" where it chooses."""
    return "auto" if parameter is None else str(fields.get(parameter.name, "auto"))


def _area(sent: str) -> int:
    """Return the pixels of a size, 0 of an aspect ratio and of "auto"."""
    size = None if parse_ratio(sent) else parse_size(sent)
    return 0 if size is None else size[0] * size[1]


def _largest(parameter: Parameter | None) -> int:
    """Return the most pixels that a route can be asked for, 0 where it takes ratios alone."""
    if parameter is None:
        return 0
    rule = parameter.rule.max_pixels if parameter.rule else 0
    return max([rule, *map(_area, parameter.values)])
