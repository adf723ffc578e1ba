"""What an edit asks for as one number, so that a repeat is recognised.

Taken over the parsed request: the boundaries and the order of a form differ from try to try.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import fields

from server.domain import EditRequest
from server.spool import File, pieces

_DELIVERY = frozenset({"partial_images"})


def fingerprint(request: EditRequest) -> str:
    """Return 64 hexadecimal digits, the same for requests that are equal in every field.

    SHA-256 over JSON: every field by its name, pictures and mask as digests of their files. What is
    left at its default is left out, so that a field added later changes no fingerprint. How the
    answer comes does not count: a repeat may ask for a stream where the original did not.
    """
    asked = {
        field.name: _plain(getattr(request, field.name))
        for field in fields(request)
        if getattr(request, field.name) != field.default and field.name not in _DELIVERY
    }
    return _digest([json.dumps(asked, sort_keys=True).encode()])


def detached(fingerprint: str) -> str:
    """Return the number of the same request for an edit that goes on by itself.

    Its repeats without a key are such requests alone: a retry of a plain one wants the picture.
    """
    return _digest([f"detached {fingerprint}".encode()])


def _plain(value: object) -> object:
    """Return `value` as JSON knows it; lists and digests keep neighbours apart."""
    if isinstance(value, File):
        return _digest(pieces(value))
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return value


def _digest(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()
