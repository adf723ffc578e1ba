"""A mask that is no use is told why, and what would help."""

from __future__ import annotations

import pytest
from PIL import Image

from server.domain import MaskConvention
from server.imaging.inspect import BadPicture
from server.imaging.masks import (
    read_mask,
)
from tests.pictures import encoded

OPAQUE, TRANSPARENT, LUMINANCE = MaskConvention


def _flat(mode: str, colour: object) -> bytes:
    return encoded(Image.new(mode, (4, 3), colour), "PNG")


REFUSED = {
    "another size": (
        _flat("L", 255),
        OPAQUE,
        (3, 4),
        "is 4x3 pixels and the image 3x4: both must be of the same size",
    ),
    "transparent all over": (
        _flat("RGBA", (255, 255, 255, 127)),
        OPAQUE,
        (4, 3),
        (
            "selects nothing: opaque pixels are edited, and the mask is transparent everywhere; "
            "mask_convention=transparent reads it the other way round"
        ),
    ),
    "opaque all over": (
        _flat("RGBA", (0, 0, 0, 128)),
        TRANSPARENT,
        (4, 3),
        (
            "selects nothing: mask_convention=transparent edits where the mask is transparent, and "
            "it is opaque everywhere; mask_convention=opaque, the default, "
            "reads it the other way round"
        ),
    ),
    "black all over": (
        _flat("L", 127),
        OPAQUE,
        (4, 3),
        (
            "selects nothing: a mask without an alpha channel is edited where it is white, and it "
            "is dark all over"
        ),
    ),
    "black, by luminance": (
        _flat("RGB", (0, 0, 0)),
        LUMINANCE,
        (4, 3),
        (
            "selects nothing: mask_convention=luminance edits where the mask is white, and it is "
            "dark all over"
        ),
    ),
    "black with alpha, by luminance": (
        _flat("RGBA", (0, 0, 0, 255)),
        LUMINANCE,
        (4, 3),
        (
            "selects nothing: mask_convention=luminance edits where the mask is white, and it is "
            "dark all over; mask_convention=opaque reads its alpha channel instead"
        ),
    ),
    "no alpha channel": (
        _flat("L", 0),
        TRANSPARENT,
        (4, 3),
        (
            "has no alpha channel, and mask_convention=transparent edits where it is transparent: "
            "send a PNG or WebP with transparency, or use mask_convention=luminance "
            "(white is edited)"
        ),
    ),
    "no picture": (
        b"GIF89a",
        OPAQUE,
        (4, 3),
        "is not a PNG, JPEG or WebP picture: it looks like a GIF",
    ),
}


@pytest.mark.parametrize(("data", "convention", "size", "message"), REFUSED.values(), ids=REFUSED)
def test_a_useless_mask_is_told_why(
    data: bytes, convention: MaskConvention, size: tuple[int, int], message: str
) -> None:
    with pytest.raises(BadPicture) as refusal:
        read_mask(data, convention, *size)
    assert refusal.value.message == message
