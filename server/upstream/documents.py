"""JSON documents with pictures in them, written without a picture's text in memory."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping

import orjson

from server.domain import Picture
from server.spool import File
from server.upstream.bodies import Base64, Body


def json_body(document: Mapping[str, object]) -> Body:
    """Return `document` as JSON, each `Picture` in it as a data URL (RFC 2397) in base64.

    Raises TypeError for what is neither JSON nor a picture.
    """
    mark = secrets.token_hex(16)  # which nothing in the document can have guessed
    pictures: list[Picture] = []

    def stand_in(value: object) -> str:
        if not isinstance(value, Picture):
            raise TypeError
        pictures.append(value)
        return mark

    text = orjson.dumps(document, default=stand_in, option=orjson.OPT_PASSTHROUGH_DATACLASS)
    first, *others = text.split(mark.encode())

    def parts() -> Iterator[File | Base64]:
        yield first
        for picture, after in zip(pictures, others, strict=True):
            yield f"data:{picture.mime_type};base64,".encode()
            yield Base64(picture.file)
            yield after

    return Body(parts())
