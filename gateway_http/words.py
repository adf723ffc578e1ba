"""The proto's enums as the words of the HTTP API: QUALITY_HIGH is "high"."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from google.protobuf.descriptor import EnumDescriptor

from imageedit.v1 import image_edit_pb2 as pb

ENUMS: dict[str, EnumDescriptor] = {
    "quality": pb.Quality.DESCRIPTOR,
    "background": pb.Background.DESCRIPTOR,
    "output_format": pb.OutputFormat.DESCRIPTOR,
    "input_fidelity": pb.InputFidelity.DESCRIPTOR,
    "moderation": pb.Moderation.DESCRIPTOR,
    "mask_convention": pb.MaskConvention.DESCRIPTOR,
    "mask_fidelity": pb.MaskFidelity.DESCRIPTOR,
}
"""The form's fields whose values are enums; field names are those of EditImageRequest."""


@cache
def words(enum: EnumDescriptor) -> Mapping[str, int]:
    """Return the numbers of an enum's values by word, without that for "unset"."""
    prefix = enum.values_by_number[0].name.removesuffix("UNSPECIFIED")
    return {
        value.name.removeprefix(prefix).lower(): value.number
        for value in enum.values
        if value.number
    }


def word(enum: EnumDescriptor, number: int, otherwise: str) -> str:
    """Return the word for an enum's `number`; `otherwise` for unset and unknown ones."""
    return _by_number(enum).get(number, otherwise)


@cache
def _by_number(enum: EnumDescriptor) -> Mapping[int, str]:
    return {number: word for word, number in words(enum).items()}
