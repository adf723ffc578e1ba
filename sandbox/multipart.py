"""A strict parser of whole `multipart/form-data` bodies (RFC 7578, RFC 2046 section 5.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_PARTS = 64
MAX_HEADER_BYTES = 8_192
_BOUNDARY = re.compile(
    r"""multipart/form-data\s*;.*?\bboundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))""", re.IGNORECASE
)
_PARAMETER = re.compile(r'; ?(name|filename)="([^"\r\n]*)"')
_ESCAPES = {"%22": '"', "%0D": "\r", "%0A": "\n"}


class MultipartError(ValueError):
    """A body that is not well-formed; the text says where."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part: a file where `filename` is set, else a text field."""

    name: str
    filename: str | None
    content_type: str | None
    data: bytes


def parse(body: bytes, content_type: str) -> list[Part]:
    """Return the parts of `body` in order.

    Raises `MultipartError` on a missing boundary, a preamble, a missing closing boundary, bytes
    after it, a part without a name, too many parts or too long headers.
    """
    match = _BOUNDARY.match(content_type)
    if match is None:
        raise MultipartError("the content type is not multipart/form-data with a boundary")
    delimiter = b"--" + (match[1] or match[2]).encode("latin-1")
    if not body.startswith(delimiter):
        raise MultipartError("the body does not start with the boundary")
    parts: list[Part] = []
    position = len(delimiter)
    while body[position : position + 2] == b"\r\n":
        if len(parts) == MAX_PARTS:
            raise MultipartError(f"more than {MAX_PARTS} parts")
        end = body.find(b"\r\n" + delimiter, position)
        if end < 0:
            raise MultipartError("the closing boundary is missing")
        parts.append(_part(body, position + 2, end))
        position = end + 2 + len(delimiter)
    if body[position:] not in {b"--", b"--\r\n"}:
        raise MultipartError("the closing boundary is missing or followed by more bytes")
    return parts


def _part(body: bytes, start: int, end: int) -> Part:
    """Return the part between two boundaries."""
    blank = body.find(b"\r\n\r\n", start, min(end, start + MAX_HEADER_BYTES))
    if blank < 0:
        raise MultipartError("a part's headers do not end")
    headers: dict[str, str] = {}
    try:
        lines = body[start:blank].decode().split("\r\n")
    except UnicodeDecodeError:
        raise MultipartError("a part's headers are not UTF-8") from None
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise MultipartError("a part has a header line without a colon")
        headers[name.strip().lower()] = value.strip()
    disposition = headers.get("content-disposition", "")
    parameters = {name: _unescaped(value) for name, value in _PARAMETER.findall(disposition)}
    if not disposition.startswith("form-data;") or not parameters.get("name"):
        raise MultipartError("a part has no name")
    data = body[blank + 4 : end]
    return Part(parameters["name"], parameters.get("filename"), headers.get("content-type"), data)


def _unescaped(value: str) -> str:
    """Return the value of a quoted parameter (WHATWG's escapes for form data)."""
    for escape, character in _ESCAPES.items():
        value = value.replace(escape, character)
    return value
