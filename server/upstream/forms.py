"""Multipart forms with files in them (RFC 7578)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from urllib3.fields import RequestField
from urllib3.filepost import choose_boundary

from server.providers.base import FilePart, TextPart
from server.spool import File
from server.upstream.bodies import Body


def form_body(fields: Sequence[FilePart | TextPart]) -> tuple[Body, str]:
    """Return a multipart body and its type."""
    boundary = choose_boundary()

    def parts() -> Iterator[File]:
        for field in fields:
            yield f"--{boundary}\r\n{_headers(field)}".encode()
            yield field.data if isinstance(field, FilePart) else field.value.encode()
            yield b"\r\n"
        yield f"--{boundary}--\r\n".encode()

    return Body(parts()), f"multipart/form-data; boundary={boundary}"


def _headers(part: FilePart | TextPart) -> str:
    """Render a part's headers as OpenAI's SDKs do: a type and a file name for files alone."""
    if isinstance(part, TextPart):
        field = RequestField(part.name, part.value)
        field.make_multipart()
    else:
        field = RequestField(part.name, b"", filename=part.filename)
        field.make_multipart(content_type=part.mime_type)
    return field.render_headers()
