"""Pictures as text: base64 on the way in."""

from __future__ import annotations

import pybase64

from server.providers.long_strings import Encoded


def decoded(value: object) -> bytes | None:
    """Return the file in `value`, base64 alone or as a data URL; `None` where there is none."""
    if isinstance(value, Encoded):
        return value.file or None
    if not isinstance(value, str):
        return None
    encoded = value.partition(",")[2] if value.startswith("data:") else value
    try:
        return pybase64.b64decode(encoded, validate=True) or None
    except ValueError:
        return None
