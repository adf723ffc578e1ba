"""Takes pictures in base64 out of a JSON document before it is parsed: a parser copies them."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import orjson
import pybase64

LONG = 65_536
"""Characters from which a string is looked at."""
MAX_STRINGS = 1_000
_MAX_HEAD = 256  # of a data URL


class Encoded:
    """A string of a document that is base64, alone or as a data URL; `file` is what it says."""

    __slots__ = ("_written", "file")

    def __init__(self, written: memoryview, file: bytes) -> None:
        self._written = written
        self.file = file

    def __str__(self) -> str:
        """Return the string."""
        return str(self._written, "ascii")


class NotApart(Exception):
    """The document must be parsed as it is; that it is one is not said."""


def parsed_apart(body: bytes, max_commas: int) -> object:
    """Return what `orjson.loads` does, but with an `Encoded` for each long string of base64.

    Raises NotApart where there is none, or any doubt, and where the rest has over `max_commas`.
    """
    mark = secrets.token_hex(16)  # which nothing in the body can have guessed
    taken: dict[str, Encoded] = {}
    rest, end = [], 0
    for start, stop in _long_strings(body):
        name = f"{mark}{len(taken)}"
        taken[name] = _decoded(memoryview(body)[start:stop])
        rest += [body[end:start], name.encode()]
        end = stop
    text = b"".join([*rest, body[end:]])
    if not taken or text.count(b",") > max_commas:
        raise NotApart
    try:
        # What stood between two strings, or in a longer one, makes this no JSON, or is found below.
        box = [orjson.loads(text)]
    except orjson.JSONDecodeError:
        raise NotApart from None
    _put_back(box, mark, taken)
    return box[0]


def _long_strings(body: bytes) -> Iterator[tuple[int, int]]:
    """Yield where long texts between two quotes begin and end."""
    quote = body.find(b'"')
    for _ in range(2 * MAX_STRINGS):
        following = body.find(b'"', quote + 1)
        if quote < 0 or following < 0:
            return
        if following - quote > LONG:
            yield quote + 1, following
        quote = following
    raise NotApart


def _decoded(written: memoryview) -> Encoded:
    encoded = written
    if bytes(written[:5]) == b"data:":
        head, comma, _ = bytes(written[:_MAX_HEAD]).partition(b",")
        if not comma or not head.isascii() or not head.decode().isprintable() or b"\\" in head:
            raise NotApart
        encoded = written[len(head) + 1 :]
    try:
        # Strict, so what passes has nothing that JSON would not take or would read otherwise.
        return Encoded(written, pybase64.b64decode(encoded, validate=True))
    except ValueError:
        raise NotApart from None


def _put_back(box: list[object], mark: str, taken: dict[str, Encoded]) -> None:
    """Put what was taken where its name is; one whose key came again is nowhere."""
    left: list[list[object] | dict[str, object]] = [box]
    while left:
        holder = left.pop()
        members = holder.items() if isinstance(holder, dict) else enumerate(holder)
        for key, value in members:
            if isinstance(value, dict | list):
                left.append(value)
            elif isinstance(value, str) and mark in value:
                if value not in taken:
                    raise NotApart
                holder[key] = taken[value]  # type: ignore[index]
            if isinstance(key, str) and mark in key:
                raise NotApart
