"""Server-sent events as the gateway sends them: one line of JSON each, comments between."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any


def documents(pieces: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """Yield the data of each event in a body that comes in pieces; raises `ValueError`."""
    for line in _lines(pieces):
        if line.startswith(b"data:"):
            document = json.loads(line.removeprefix(b"data:"))
            if not isinstance(document, dict):
                raise ValueError("an event is no object")
            yield document


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield whole lines; a picture's line comes in many pieces, which are joined once."""
    begun: list[bytes] = []
    for piece in pieces:
        first, *rest = piece.split(b"\n")
        begun.append(first)
        for line in rest:
            yield b"".join(begun)
            begun = [line]
