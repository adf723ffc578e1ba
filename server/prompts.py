"""Says one edit in the words of one route: pictures, mask and prompt as its method wants them."""

from __future__ import annotations

from collections.abc import Mapping

from server.catalog import Route
from server.domain import MaskMethod, Picture, on_disk
from server.imaging.coverage import CoveragePlane
from server.imaging.inspect import as_png
from server.imaging.mask_words import region_instruction, second_image_instruction
from server.imaging.masks import native_mask, second_image_mask
from server.providers.base import UpstreamEdit

MAX_NATIVE_BYTES = 50_000_000  # of a picture at OpenAI (upstreams, 1.2)


def upstream_edit(
    prompt: str,
    pictures: tuple[Picture, ...],
    plane: CoveragePlane | None,
    route: Route,
    fields: Mapping[str, str | int],
) -> UpstreamEdit:
    """Return what the route's provider packs; the mask goes as the route's mask method says."""
    mask = None
    if plane is not None:
        match route.mask_method:
            case MaskMethod.NATIVE:
                pictures = (_like_its_mask(pictures[0]), *pictures[1:])
                mask = native_mask(plane)
            case MaskMethod.SECOND_IMAGE:
                prompt = f"{second_image_instruction(len(pictures))}\n\n{prompt}"
                pictures = (*pictures, second_image_mask(plane))
            case MaskMethod.INSTRUCTION:
                prompt = f"{region_instruction(plane)}\n\n{prompt}"
    return UpstreamEdit(
        model=route.model,
        prompt=prompt,
        images=pictures,
        mask=mask,
        fields=fields,
        image_fields=route.image_fields[: len(pictures)],
    )


def _like_its_mask(picture: Picture) -> Picture:
    """Return `picture` as PNG: OpenAI's guide wants image and mask of one format, below a limit."""
    png = as_png(picture)
    return on_disk(png) if len(png.file) < MAX_NATIVE_BYTES else picture
