"""What a file is, by its first bytes alone: no name, no declared type, no parser."""

from __future__ import annotations

from server.imaging.bad_picture import BadPicture

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
JPEG_SIGNATURE = b"\xff\xd8\xff"

# (offset, bytes, name), for the message only: nothing of these is ever opened.
_FOREIGN = (
    (0, b"GIF87a", "a GIF"),
    (0, b"GIF89a", "a GIF"),
    (0, b"II*\x00", "a TIFF"),
    (0, b"MM\x00*", "a TIFF"),
    (0, b"BM", "a BMP"),
    (0, b"%PDF", "a PDF"),
    (0, b"%!PS", "PostScript"),
    (0, b"8BPS", "a Photoshop file"),
    (0, b"\x00\x00\x01\x00", "an icon"),
    (4, b"ftypavi", "an AVIF"),
    (4, b"ftyphe", "a HEIC"),
    (4, b"ftypmi", "a HEIC"),
    (4, b"ftypms", "a HEIC"),
    (4, b"ftyp", "a video"),
    (0, b"\x00\x00\x00\x0cjP  ", "a JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000"),
    (0, b"\x00\x00\x00\x0cJXL ", "a JPEG XL"),
    (0, b"\xff\x0a", "a JPEG XL"),
    (0, b"PK\x03\x04", "a ZIP archive"),
)
_FOREIGN_TEXT = (
    (b"<svg", "an SVG"),
    (b"<!doctype html", "HTML"),
    (b"<html", "HTML"),
    (b"<?xml", "XML"),
    (b"{", "JSON"),
    (b"data:image/", "a data URL"),
)


def mime_type_of(data: bytes) -> str:
    """Return "image/png", "image/jpeg" or "image/webp".

    Raises BadPicture for anything else, saying what it looks like where that can be told.
    """
    if data.startswith(PNG_SIGNATURE):
        return "image/png"
    if data.startswith(JPEG_SIGNATURE):
        return "image/jpeg"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if not data:
        raise BadPicture("is empty")
    looks = _looks_like(data)
    hint = f": it looks like {looks}" if looks else ""
    raise BadPicture(f"is not a PNG, JPEG or WebP picture{hint}")


def _looks_like(data: bytes) -> str | None:
    for offset, magic, name in _FOREIGN:
        if data.startswith(magic, offset):
            return name
    text = data[:1024].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith(b"<") and b"<svg" in text:
        return "an SVG"
    for start, name in _FOREIGN_TEXT:
        if text.startswith(start):
            return name
    return None
