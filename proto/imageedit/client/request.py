"""An edit as messages: the parameters, then the pictures in chunks, whatever their size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Literal, TypedDict, TypeVar

from imageedit.v1 import image_edit_pb2 as pb

CHUNK_BYTES = 1_048_576
EDIT_SECONDS = 600.0  # longer than an edit may take there, so that its own error comes first

Message = TypeVar("Message", pb.StreamEditImageRequest, pb.StartEditImageRequest)
Picture = bytes | str | PathLike[str]
"""A picture's file (PNG, JPEG or WebP): its bytes, or where it is."""


class Options(TypedDict, total=False):
    """How to edit; what is left out is the model's default."""

    size: str
    quality: Literal["auto", "low", "medium", "high"]
    background: Literal["auto", "transparent", "opaque"]
    output_format: Literal["png", "jpeg", "webp"]
    output_compression: int
    input_fidelity: Literal["low", "high"]
    moderation: Literal["auto", "low"]
    seed: int
    user: str
    mask_convention: Literal["opaque", "transparent", "luminance"]
    mask_fidelity: Literal["exact", "hint"]


_ENUMS = {
    "quality": pb.Quality,
    "background": pb.Background,
    "output_format": pb.OutputFormat,
    "input_fidelity": pb.InputFidelity,
    "moderation": pb.Moderation,
    "mask_convention": pb.MaskConvention,
    "mask_fidelity": pb.MaskFidelity,
}


def parameters(
    model: str, prompt: str, options: Options, partial_images: int = 0
) -> pb.EditImageRequest:
    """Return the first message's content; raises `ValueError` for a word that is not there."""
    request = pb.EditImageRequest(model=model, prompt=prompt, partial_images=partial_images)
    for name, value in options.items():
        setattr(request, name, number(name, str(value)) if name in _ENUMS else value)
    return request


def number(name: str, word: str) -> int:
    """Return an enum's value by the option's name and a word, such as "quality" and "low"."""
    prefix = f"{name}_".upper()
    names = _ENUMS[name].keys()
    if prefix + word.upper() not in names:
        known = [known.removeprefix(prefix).lower() for known in names[1:]]
        raise ValueError(f'{name} must be one of {", ".join(known)}, not "{word}"')
    value: int = _ENUMS[name].Value(prefix + word.upper())
    return value


def messages(
    kind: type[Message],
    request: pb.EditImageRequest,
    images: Picture | Sequence[Picture],
    mask: Picture | None,
) -> Iterator[Message]:
    """Return the messages of an edit; raises `OSError` at once for a file that can't be read."""
    given = [images] if isinstance(images, bytes | str | PathLike) else images
    files = [content(image) for image in given]
    return _messages(kind, request, files, None if mask is None else content(mask))


def _messages(
    kind: type[Message], request: pb.EditImageRequest, images: Sequence[bytes], mask: bytes | None
) -> Iterator[Message]:
    yield kind(parameters=request)
    for index, image in enumerate(images):
        for chunk in _chunks(image, index):
            yield kind(image_chunk=chunk)
    for chunk in _chunks(mask, 0) if mask is not None else ():
        yield kind(mask_chunk=chunk)


def content(picture: Picture) -> bytes:
    """Return a picture's file; raises `OSError` where it can't be read."""
    return picture if isinstance(picture, bytes) else Path(picture).read_bytes()


def _chunks(data: bytes, index: int) -> Iterator[pb.ImageChunk]:
    # An empty file is sent too, for the service to complain about.
    for start in range(0, len(data) or 1, CHUNK_BYTES):
        yield pb.ImageChunk(index=index, data=data[start : start + CHUNK_BYTES])
