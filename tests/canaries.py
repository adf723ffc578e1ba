"""Secrets that must appear nowhere, and the many shapes in which they might."""

from __future__ import annotations

import base64
import binascii
import secrets
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote

ENDS = 10  # bytes


def canary(kind: str) -> str:
    """Return a new word that nothing else holds."""
    return f"{kind}-canary-{secrets.token_hex(12)}"


def shapes(secret: str) -> Iterator[tuple[str, bytes]]:
    """Yield a secret in every encoding that is searched for, by the encoding's name."""
    raw = secret.encode()
    yield "raw", raw
    yield "reversed", raw[::-1]
    yield "hex", binascii.hexlify(raw)
    yield "HEX", binascii.hexlify(raw).upper()
    yield "URL-encoded", quote(secret, safe="").encode()
    yield "%-encoded", "".join(f"%{byte:02X}" for byte in raw).encode()
    for shift in range(3):  # where it begins within a group of three bytes
        # Characters that share bits with a neighbour are unknown.
        part = slice((shift * 8 + 5) // 6, (shift + len(raw)) * 8 // 6)
        for name, encode in (
            ("base64", base64.b64encode),
            ("URL-safe base64", base64.urlsafe_b64encode),
        ):
            yield f"{name}, {shift} bytes in", encode(b"\0" * shift + raw)[part]


def found(secrets_: Mapping[str, str], places: Iterable[tuple[str, bytes]]) -> set[str]:
    """Return "NAME as SHAPE in PLACE" for every secret (by name) that a place (by name) holds."""
    needles: dict[bytes, str] = {}
    for name, secret in secrets_.items():
        for encoding, shape in shapes(secret):
            needles.setdefault(shape, f"{name} as {encoding}")
    # Canaries of a kind begin alike, and reversed end alike: what they share is looked for first.
    ends = Counter(end for shape in needles for end in (shape[:ENDS], shape[-ENDS:]))
    shared = defaultdict(list)
    for shape in needles:
        end = max(shape[:ENDS], shape[-ENDS:], key=lambda end: ends[end])
        shared[end if ends[end] > 1 else shape].append(shape)
    return {
        f"{needles[shape]} in {place}"
        for place, data in places
        for end, candidates in shared.items()
        if end in data
        for shape in candidates
        if shape in data
    }
