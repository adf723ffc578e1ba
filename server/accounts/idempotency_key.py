"""The idempotency key as it travels."""

from __future__ import annotations

import re

from server.domain import EditError, Situation

HEADER = "Idempotency-Key"
_BARE = re.compile(r"[ !#-~][ -~]{0,254}")
_QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\]){1,255})"')


def read_key(value: str) -> str:
    """Return the key that a header or metadata value names, 1 to 255 printable ASCII characters.

    It may stand in double quotes, with `\\"` and `\\\\` for those two characters in it, as
    draft-ietf-httpapi-idempotency-key-header (a string of RFC 9651, 3.3.3) wants it; with and
    without quotes it is the same key. Raises `EditError` (BAD_REQUEST).
    """
    quoted = _QUOTED.fullmatch(value)
    if quoted is not None:
        return re.sub(r"\\(.)", r"\1", quoted[1])
    if _BARE.fullmatch(value) is None:
        raise EditError(
            Situation.BAD_REQUEST,
            f"{HEADER} must be 1 to 255 printable ASCII characters, bare or in double quotes.",
            field=HEADER,
        )
    return value
