"""The one way in which a picture fails."""

from __future__ import annotations


class BadPicture(Exception):
    """A file that is no usable picture.

    `message` starts in lower case without the field's name, so that a caller can put it in front:
    "image" + " " + "is not a PNG, JPEG or WebP picture". `limit` is what was exceeded, such as
    "16777216 pixels", else `None`.
    """

    def __init__(self, message: str, *, limit: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.limit = limit
