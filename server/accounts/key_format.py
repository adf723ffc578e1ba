"""What a key looks like: `ie_`, 30 random characters, and a checksum of 6.

Prefix and checksum let secret scanners find a leaked key and let us refuse a mistyped one without
asking the store (after GitHub's token format, 2021-04-05).
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
import zlib

PREFIX = "ie_"
_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_FORM = re.compile(rf"{PREFIX}([0-9A-Za-z]{{30}})([0-9A-Za-z]{{6}})")


def new_key() -> str:
    """Return a new key of 178 random bits."""
    body = "".join(secrets.choice(_ALPHABET) for _ in range(30))
    return PREFIX + body + _checksum(body)


def is_well_formed(key: str) -> bool:
    """Tell whether `key` has the form and the checksum of a key."""
    match = _FORM.fullmatch(key)
    return match is not None and _checksum(match[1]) == match[2]


def digest(key: str) -> str:
    """Return what the store keeps of a key: SHA-256, enough for 178 random bits."""
    return hashlib.sha256(key.encode()).hexdigest()


def _checksum(body: str) -> str:
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(6):
        number, index = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[index] + digits
    return digits
