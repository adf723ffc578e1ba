"""JSON documents with pictures in them, written without a large picture in memory."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping

import orjson
import pybase64

from server.domain import Picture
from server.spool import File, Spool, pieces


def json_body(document: Mapping[str, object]) -> File:
    """Return `document` as JSON, each `Picture` in it as a data URL (RFC 2397) in base64.

    Raises OSError where the disk is full, TypeError for what is neither JSON nor a picture.
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
    body = Spool()
    body.write(first)
    for picture, after in zip(pictures, others, strict=True):
        body.write(f"data:{picture.mime_type};base64,".encode())
        for piece in _base64(picture.file):
            body.write(piece)
        body.write(after)
    return body.file()


def _base64(file: File) -> Iterator[bytes]:
    """Yield a file in base64; of three bytes each, so that the pieces make one text."""
    rest = b""
    for piece in pieces(file):
        data = rest + piece if rest else piece
        whole = len(data) - len(data) % 3
        yield pybase64.b64encode(memoryview(data)[:whole])
        rest = data[whole:]
    yield pybase64.b64encode(rest)
