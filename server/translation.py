"""Puts the parameters of an edit into the words of a route, and says which of them got lost."""

from __future__ import annotations

from dataclasses import dataclass, replace

from server.catalog import IMAGE_EDIT, Model, Parameter, Route
from server.domain import EditRequest, OutputFormat
from server.sizes import (
    MEGAPIXEL,
    Size,
    about_a_megapixel,
    nearest_listed,
    parse_ratio,
    parse_size,
    same_shape,
)

ALWAYS_HONOURED = (
    *("prompt", "image", "mask", "output_format", "output_compression", "user"),
    "stream",
)
PARTIAL_IMAGES = "partial_images"
SEEDS = range(10_000_000_000)
"""What vendors take (upstreams, 3.2); any other integer they could only refuse."""
SENT_AS_THEY_ARE = ("quality", "background", "input_fidelity", "moderation", "seed", "user")


@dataclass(frozen=True, slots=True)
class Translation:
    """`fields` go to the upstream by its own names; `ignored` are ours that it cannot honour.

    `partial_images` is how many unfinished pictures the upstream is asked for. `compressed`: it is
    asked for the output compression, too, which need not be done here.
    """

    fields: dict[str, str | int]
    ignored: frozenset[str]
    partial_images: int = 0
    compressed: bool = False


def translate(
    request: EditRequest, route: Route, *, canvas: Size | None, first: Size | None = None
) -> Translation:
    """Return what `route` is asked for.

    `canvas` is the input's size where its own pixels will be put back, else `None`: then the answer
    must come without loss, and of the input's shape unless another was asked for. `first` is the
    (first) input's size, as far as it is known: "auto" takes its shape, at about a megapixel.

    The gateway itself keeps the output format, its compression and, where shapes agree, the size:
    those are never ignored here. A value that means "the model decides" is never ignored.
    """
    fields: dict[str, str | int] = {}
    ignored = set()
    for name in SENT_AS_THEY_ARE:
        value = getattr(request, name)
        if value is None or value == "":
            continue
        parameter = route.parameters.get(name)
        if parameter is not None and _takes(parameter, name, value):
            fields[parameter.name] = value
        elif not _needs_no_upstream(name, value):
            ignored.add(name)
    partial_images = request.partial_images if PARTIAL_IMAGES in route.parameters else 0
    if partial_images != request.partial_images:
        ignored.add(PARTIAL_IMAGES)
    fields |= _size(request, route, canvas, first)
    output = _output(request, route, lossless=canvas is not None)
    fields |= output
    if request.output_compression is not None and request.output_format is OutputFormat.PNG:
        ignored.add("output_compression")
    return Translation(fields, frozenset(ignored), partial_images, compressed=len(output) > 1)


def _takes(parameter: Parameter, name: str, value: object) -> bool:
    if name == "seed":
        return value in SEEDS
    return not parameter.values or value in parameter.values


def _needs_no_upstream(name: str, value: object) -> bool:
    """`user` goes to our own records, "auto" is any model's habit, opaque is made here."""
    return name == "user" or value == "auto" or (name == "background" and value == "opaque")


def _size(
    request: EditRequest, route: Route, canvas: Size | None, first: Size | None
) -> dict[str, str]:
    parameter = route.parameters.get("size")
    if parameter is None:
        return {}
    wanted = parse_size(request.size) if request.size else None
    if wanted is not None:
        return {parameter.name: _nearest(wanted, parameter)}
    if canvas is not None:
        # In another shape nothing could be put back; where the upstream has none, it may choose.
        nearest = _nearest(canvas, parameter)
        if same_shape(canvas, parse_ratio(nearest) or parse_size(nearest) or canvas):
            return {parameter.name: nearest}
    if request.size and first is not None:
        rule = parameter.rule and replace(parameter.rule, max_pixels=MEGAPIXEL)
        default = replace(parameter, rule=rule)
        return {parameter.name: _nearest(about_a_megapixel(first), default)}
    return {parameter.name: "auto"} if request.size and "auto" in parameter.values else {}


def _nearest(wanted: Size, parameter: Parameter) -> str:
    if parameter.rule is not None:
        return parameter.rule.nearest(wanted)
    return parameter.values[nearest_listed(wanted, list(parameter.values))]


def _output(request: EditRequest, route: Route, *, lossless: bool) -> dict[str, str | int]:
    """Ask for the wanted type where the upstream can give it and nothing is changed afterwards."""
    output = route.parameters.get("output_format")
    if output is None or lossless or request.output_format not in output.values:
        return {}
    fields: dict[str, str | int] = {output.name: output.values[request.output_format]}
    if request.output_compression is not None and request.output_format is not OutputFormat.PNG:
        compression = route.parameters.get("output_compression")
        if compression is None:
            return {}  # the gateway compresses, from the upstream's own lossless type
        fields[compression.name] = request.output_compression
    return fields


def supported_parameters(model: Model, routes: tuple[Route, ...]) -> list[str]:
    """Return the fields of an edit that the first of `routes` honours, by our names."""
    if IMAGE_EDIT not in model.features:
        return []
    named = [*ALWAYS_HONOURED, *routes[0].parameters]
    return list(dict.fromkeys(named))
