"""Metadata goes, pixels stay: which container is taken apart by what."""

from __future__ import annotations

from dataclasses import replace

from server.imaging.sniff import mime_type_of
from server.imaging.strip_jpeg import strip_jpeg
from server.imaging.strip_png import strip_png
from server.imaging.strip_webp import strip_webp
from server.imaging.stripped import Stripped

_STRIPPERS = {"image/png": strip_png, "image/jpeg": strip_jpeg, "image/webp": strip_webp}


def strip(data: bytes) -> Stripped:
    """Return the file in `data` without EXIF, GPS, XMP, IPTC, texts, comments and tails.

    Nothing is decoded or encoded: the picture data stay the very same bytes. An ICC profile is
    taken out, too, and comes beside them. Where nothing is, `data` itself is the one part. Raises
    BadPicture.
    """
    file = _STRIPPERS[mime_type_of(data)](data)
    if sum(map(len, file.parts)) == len(data) and file.data == data:
        return replace(file, parts=(data,))
    return file
