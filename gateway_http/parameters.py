"""The text fields of the form become an EditImageRequest; only their syntax is checked here."""

from __future__ import annotations

import re
from collections.abc import Mapping

from gateway_http.form import FormError
from gateway_http.words import ENUMS, words
from imageedit.v1.image_edit_pb2 import EditImageRequest

FIELDS = frozenset(
    {
        *ENUMS,
        "model",
        "prompt",
        "size",
        "n",
        "user",
        "safety_identifier",
        "output_compression",
        "seed",
        "stream",
        "partial_images",
        "response_format",
    }
)
"""The names of all text fields (contract, section 1)."""

MAX_USER_CHARACTERS = 512
"""Of an end user's identifier; the service says the same of `user`."""

_SIZE = re.compile(r"auto|[1-9][0-9]{0,4}x[1-9][0-9]{0,4}")
_INTEGER = re.compile(r"-?[0-9]{1,18}")


def read(text: Mapping[str, str]) -> EditImageRequest:
    """Return the parameters in `text`, whose names are all in FIELDS; raises FormError.

    What is not given stays unset. Whether model and prompt are usable is the service's question.
    """
    _one_of(text, "n", ("1",))
    _one_of(text, "response_format", ("b64_json",))
    streamed = streams(text)
    partial_images = _integer(text, "partial_images", 0, 3) or 0
    if partial_images and not streamed:
        message = "partial_images come in a stream alone: send stream=true too, or leave it out."
        raise FormError(message, "partial_images")
    if len(text.get("safety_identifier", "")) > MAX_USER_CHARACTERS:
        message = f"safety_identifier has over {MAX_USER_CHARACTERS} characters."
        raise FormError(message, "safety_identifier")
    request = EditImageRequest(
        model=text.get("model", ""),
        prompt=text.get("prompt", ""),
        user=text.get("safety_identifier") or text.get("user", ""),
        size=_size(text),
        output_compression=_integer(text, "output_compression", 0, 100),
        seed=_integer(text, "seed", -(10**18), 10**18),
        partial_images=partial_images,
    )
    for name, enum in ENUMS.items():
        allowed = words(enum)
        value = _one_of(text, name, tuple(allowed))
        if value is not None:
            setattr(request, name, allowed[value])
    return request


def streams(text: Mapping[str, str]) -> bool:
    """Tell whether the answer is wanted as events; raises FormError."""
    return _one_of(text, "stream", ("true", "false")) == "true"


def _one_of(text: Mapping[str, str], name: str, allowed: tuple[str, ...]) -> str | None:
    value = text.get(name)
    if value is None:
        return None
    if name == "stream":
        value = value.lower()  # Python's str(True)
    if value not in allowed:
        listed = " or ".join(filter(None, (", ".join(allowed[:-1]), allowed[-1])))
        raise FormError(f"{name} must be {listed}; got {value[:64]!r}.", name)
    return value


def _integer(text: Mapping[str, str], name: str, least: int, most: int) -> int | None:
    value = text.get(name)
    if value is None:
        return None
    if not _INTEGER.fullmatch(value):
        raise FormError(f"{name} must be a whole number; got {value[:64]!r}.", name)
    if not least <= int(value) <= most:
        range_ = f"{least}" if least == most else f"{least} to {most}"
        raise FormError(f"{name} must be {range_}; got {value}.", name)
    return int(value)


def _size(text: Mapping[str, str]) -> str | None:
    value = text.get("size")
    if value is not None and not _SIZE.fullmatch(value):
        raise FormError(f"size must be WIDTHxHEIGHT or auto; got {value[:64]!r}.", "size")
    return value
