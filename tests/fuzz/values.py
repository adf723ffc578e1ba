"""The text fields: any values are parameters that can be sent, or a refusal that names a field."""

from __future__ import annotations

from gateway_http.form import FormError
from gateway_http.parameters import FIELDS, read
from gateway_http.words import ENUMS, words
from imageedit.v1.image_edit_pb2 import EditImageRequest

MAX_LENGTH = 1024
NAMES = tuple(sorted(FIELDS))


def _seed(**values: str) -> bytes:
    fields = (
        bytes([NAMES.index(name)]) + value.encode() + b"\xff" for name, value in values.items()
    )
    return b"".join(fields)


SEEDS = (
    _seed(model="brand/model", prompt="sepia \u00e9", n="1", size="1024x1536", quality="high"),
    _seed(seed="-999999999999999999", output_compression="100", partial_images="3"),
    _seed(response_format="b64_json", stream="False", user="u", safety_identifier="s"),
    _seed(mask_convention="luminance", mask_fidelity="hint", output_format="webp", size="auto"),
)
WORDS = (
    *(b"auto", b"1024x1024", b"99999x99999", b"true", b"b64_json", b"-1", b"+1", b"1_0", b"\xff"),
    *("\u0663".encode(), "\u00b2".encode(), b"1\n", b"0x10", b" 1"),  # digits that are none
    *(word.encode() for enum in ENUMS.values() for word in words(enum)),
)


def check(data: bytes) -> None:
    """Read the fields in `data`: a name's number and a value each, ended by 0xFF."""
    pairs = (piece for piece in data.split(b"\xff") if piece)
    text = {NAMES[piece[0] % len(NAMES)]: piece[1:].decode("utf-8", "ignore") for piece in pairs}
    try:
        request = read(text)
    except FormError as refusal:
        if refusal.status != 400 or refusal.field not in text:
            raise AssertionError(f"an odd refusal: {refusal.status} {refusal.field}") from refusal
        return
    if EditImageRequest.FromString(request.SerializeToString()) != request:
        raise AssertionError("the parameters change on the wire")
