"""Reads a request's body into a form, with or without Content-Length, and closes what it drops."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Protocol

from werkzeug.http import parse_options_header

from gateway_http.errors import busy
from gateway_http.form import MAX_BODY, READ_SIZE, Form, FormError, FormReader, too_large
from gateway_http.json_body import JsonReader


class Body(Protocol):
    """What a WSGI server gives as wsgi.input, as far as it is used here."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, none at the end; raises OSError or ValueError."""


def receive(body: Body, content_type: str, length: int | None, known: Iterable[str]) -> Form:
    """Return the form that `body` holds; the caller closes it. Raises FormError.

    `length` is the Content-Length in bytes, `None` where the body tells its own end. Where no disk
    is left for the pictures, it raises an HttpError.
    """
    if length is not None and length > MAX_BODY:
        raise too_large()
    reader = _reader(content_type, known)
    try:
        left = math.inf if length is None else length
        while left and (data := _next(body, int(min(READ_SIZE, left)))):
            left -= len(data)
            _feed(reader, data)
        return reader.finish()
    except BaseException:
        reader.form.close()
        raise


def _reader(content_type: str, known: Iterable[str]) -> FormReader | JsonReader:
    kind, options = parse_options_header(content_type)
    match kind.lower():
        case "multipart/form-data":
            return FormReader(_boundary(options), known)
        case "application/json":
            return JsonReader(known)
        case _:
            raise FormError("The body must be multipart/form-data or application/json.")


def _boundary(options: Mapping[str, str]) -> bytes:
    boundary = options.get("boundary", "")
    if not 0 < len(boundary) <= 200 or not boundary.isascii():
        raise FormError("The Content-Type header of the form has no usable boundary.")
    return boundary.encode()


def _feed(reader: FormReader | JsonReader, data: bytes) -> None:
    try:
        reader.feed(data)
    except OSError:
        message = "This gateway has no disk left for pictures; try again in a moment."
        raise busy(message) from None


def _next(body: Body, size: int) -> bytes:
    try:
        return body.read(size)
    except TimeoutError:
        raise FormError("The body stopped arriving.", status=408) from None
    except (OSError, ValueError):
        raise FormError("The body cannot be read: its chunks or its connection broke.") from None
