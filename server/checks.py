"""What is checked of an edit before money is spent; every complaint names the field."""

from __future__ import annotations

from dataclasses import replace

from server.catalog import Catalog, Model, Route
from server.domain import (
    MAX_PROMPT_CHARACTERS,
    MAX_USER_CHARACTERS,
    EditError,
    EditRequest,
    MaskMethod,
    OutputFormat,
    Picture,
    Situation,
    on_disk,
)
from server.imaging.coverage import CoveragePlane
from server.imaging.inspect import BadPicture, read_picture
from server.imaging.masks import read_mask
from server.sizes import Size, parse_size
from server.spool import File, contents

MAX_INSTRUCTION_CHARACTERS = 1_000


def check_parameters(request: EditRequest, max_pixels: int) -> None:
    """Check all that can be checked without the model; raises `EditError` (BAD_REQUEST)."""
    if not request.model:
        raise _bad("model", 'is missing; it is an alias such as "openai/gpt-image-2"')
    if not request.prompt.strip():
        raise _bad("prompt", "is missing; say in words what to change")
    if len(request.prompt) > MAX_PROMPT_CHARACTERS:
        raise _bad(
            "prompt", f"has {len(request.prompt)} characters; {MAX_PROMPT_CHARACTERS} is the most"
        )
    if not request.images:
        raise _bad("image", "is missing; send the picture to edit as PNG, JPEG or WebP")
    if len(request.user) > MAX_USER_CHARACTERS:
        raise _bad("user", f"has over {MAX_USER_CHARACTERS} characters")
    if "\0" in request.user:
        raise _bad("user", "holds a NUL character")
    check_size(request, max_pixels)
    _check_range("output_compression", request.output_compression, 100)
    _check_range("partial_images", request.partial_images, 3)
    if request.background == "transparent" and request.output_format is OutputFormat.JPEG:
        raise _bad("background", "can't be transparent in JPEG; take output_format png or webp")


def check_size(request: EditRequest, max_pixels: int) -> None:
    """Check what is asked for as size; raises `EditError` (BAD_REQUEST)."""
    if request.size is not None:
        _size("size", request.size, max_pixels)


def picture_size(text: str, max_pixels: int) -> Size:
    """Return the size that a picture is said to have; raises `EditError` (BAD_REQUEST)."""
    size = _size("image_size", text, max_pixels)
    if size is None:
        raise _bad("image_size", "must be the picture's own WIDTHxHEIGHT")
    return size


def _size(field: str, text: str, max_pixels: int) -> Size | None:
    try:
        size = parse_size(text)
    except ValueError as error:
        raise _bad(field, f"is not usable: {error}") from None
    if size is not None and size[0] * size[1] > max_pixels:
        raise _bad(field, f"is {size[0] * size[1]} pixels; {max_pixels} is the most")
    return size


def _check_range(field: str, value: int | None, most: int) -> None:
    if value is not None and not 0 <= value <= most:
        raise _bad(field, f"is {value}; it must be from 0 to {most}")


def routes_that_fit(request: EditRequest, model: Model, catalog: Catalog) -> tuple[Route, ...]:
    """Return the routes to `model` that can do what is asked; raises `EditError`.

    Those that take so many pictures, so long a prompt, a mask or none, and a transparent
    background where one is asked for. Those made for masks, or for none, come first.
    """
    masked = request.mask is not None
    made_for_it = [route for route in catalog.routes(model) if route.masked is masked]
    routes = (*made_for_it, *(route for route in catalog.routes(model) if route.masked is None))
    if not routes:
        raise _bad("mask", f"{'can not be used' if masked else 'is needed'} with the model here")
    if request.background == "transparent":
        routes = _routes_to_transparency(routes, catalog)
    taking = tuple(
        route for route in routes if len(request.images) <= _most_images(route, request.mask)
    )
    if not taking:
        most = max(_most_images(route, request.mask) for route in routes)
        beside = " beside a mask" if masked else ""
        raise _bad(
            "image",
            f"is there {len(request.images)} times; the model takes {most} at the most{beside}",
        )
    fitting = tuple(
        route for route in taking if len(request.prompt) <= _most_characters(route, request.mask)
    )
    if not fitting:
        most = MAX_PROMPT_CHARACTERS - MAX_INSTRUCTION_CHARACTERS
        raise _bad(
            "prompt",
            f"has {len(request.prompt)} characters; beside a mask the model takes {most}",
        )
    return fitting


def _routes_to_transparency(routes: tuple[Route, ...], catalog: Catalog) -> tuple[Route, ...]:
    able = tuple(route for route in routes if route.takes("background", "transparent"))
    if not able:
        models = catalog.models_that_take("background", "transparent")
        others = ", ".join(model.alias for model in models) or "none"
        raise _bad(
            "background",
            "can't be transparent with this model; models here that can, with output_format png or"
            f" webp: {others}",
        )
    return able


def _most_characters(route: Route, mask: File | None) -> int:
    """Leave room for the instruction that a mask adds, where the vendor's own limit is known."""
    takes_words = mask is not None and route.mask_method is MaskMethod.SECOND_IMAGE
    return MAX_PROMPT_CHARACTERS - takes_words * MAX_INSTRUCTION_CHARACTERS


def _most_images(route: Route, mask: File | None) -> int:
    takes_a_place = mask is not None and route.mask_method is MaskMethod.SECOND_IMAGE
    return route.max_images - takes_a_place


def read_pictures(
    request: EditRequest, max_pixels: int
) -> tuple[tuple[Picture, ...], CoveragePlane | None]:
    """Return the checked pictures and the mask's plane; raises `EditError` naming the field."""
    pictures = []
    for index, data in enumerate(request.images):
        field = "image" if len(request.images) == 1 else f"image[{index}]"
        try:
            whole = contents(data)
            # What is put back into a paid result must be known to be pixels before.
            masked = request.mask is not None
            picture = read_picture(whole, max_pixels=max_pixels, pixels=masked)
            # An upload that is as it should be is here already, and need not be a second time.
            same = picture.file is whole
            pictures.append(replace(picture, file=data) if same else on_disk(picture))
        except BadPicture as error:
            raise _bad_picture(field, error) from error
    if request.mask is None:
        return tuple(pictures), None
    first = pictures[0]
    try:
        plane = read_mask(
            contents(request.mask),
            request.mask_convention,
            first.width,
            first.height,
            max_pixels=max_pixels,
        )
    except BadPicture as error:
        raise _bad_picture("mask", error) from error
    return tuple(pictures), plane


def _bad_picture(field: str, error: BadPicture) -> EditError:
    situation = Situation.TOO_LARGE if error.limit else Situation.BAD_REQUEST
    return EditError(situation, f"{field} {error.message}.", field=field, limit=error.limit)


def _bad(field: str, problem: str) -> EditError:
    return EditError(Situation.BAD_REQUEST, f"{field} {problem}.", field=field)
