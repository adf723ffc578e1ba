"""The syntax of multipart/form-data: a body in pieces becomes parts, their content not copied.

RFC 2046, 5.1.1, with RFC 7578. Lines end with CRLF: what servers could cut in two ways is content.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property
from typing import Protocol

from werkzeug.http import parse_options_header

MAX_PREAMBLE = 65_536
MAX_PART_HEADER = 16_384
_MAX_PADDING = 256
_FOLD = re.compile(rb"\r\n[ \t]+")
# A boundary that begins a longer word is content, as is one with endless padding.
_FOLLOWS = rb"(?:(--)|[ \t]{0,%d}+(?=\r\n))" % _MAX_PADDING
_FOLLOWING = re.compile(_FOLLOWS)
_MAY_FOLLOW = re.compile(rb"-|[ \t]{0,%d}\r?" % _MAX_PADDING)


class Malformed(Exception):
    """The body is no multipart/form-data; the text says why, for the client."""


class Parts(Protocol):
    """What becomes of the parts, one after the other."""

    def begin(self, name: str, *, is_file: bool) -> None:
        """Begin the part `name`, "" where it has none; `is_file` tells that it names a file."""

    def add(self, content: memoryview) -> None:
        """Take the next bytes of the part."""

    def end(self) -> None:
        """End the part."""


class Splitter:
    """Eats a body in pieces of any size; what `parts` get does not depend on where it was cut.

    `closed` tells that the closing boundary has come: nothing after it means anything.
    """

    def __init__(self, boundary: bytes, parts: Parts) -> None:
        self.closed = False
        self._parts = parts
        self._delimiter = b"\r\n--" + boundary
        self._longest = len(self._delimiter) + _MAX_PADDING + len(b"\r")
        self._step: Callable[[bytes, int], int] = self._skip_preamble
        self._preamble = 0
        self._first = False
        self._held = b"\r\n"  # so that a boundary at the very beginning is like the others

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body; raises Malformed, and what the parts raise."""
        if self._held:
            data, self._held = self._held + data, b""
        place, step = 0, None
        while not self.closed and step != self._step:  # the step that ends wants more
            step = self._step
            place = step(data, place)
        if not self.closed:
            self._held = data[place:]

    def _skip_preamble(self, data: bytes, place: int) -> int:
        found, end = self._look(data, place)
        self._preamble += end - place
        if self._preamble > MAX_PREAMBLE:
            raise Malformed("The form has no boundary where one must be.")
        return self._pass(found) if found else end

    def _read_header(self, data: bytes, place: int) -> int:
        blank = data.find(b"\r\n\r\n", place)
        if (blank if blank >= 0 else len(data)) - place > MAX_PART_HEADER:
            raise Malformed("The header of a part of the form is too long.")
        if blank < 0:
            return place
        name, is_file = _disposition(data[place:blank])
        self._parts.begin(name, is_file=is_file)
        self._step, self._first = self._read_content, True
        return blank + 2  # where the header's end may be the boundary's beginning

    def _read_content(self, data: bytes, place: int) -> int:
        found, end = self._look(data, place)
        if end > place:
            start = place + 2 if self._first else place
            self._first = False
            if end > start:
                self._parts.add(memoryview(data)[start:end])
        if not found:
            return end
        self._parts.end()
        return self._pass(found)

    def _pass(self, delimiter: re.Match[bytes]) -> int:
        self.closed = delimiter[1] is not None
        self._step = self._read_header
        return delimiter.end()

    def _look(self, data: bytes, place: int) -> tuple[re.Match[bytes] | None, int]:
        """Return the next delimiter, if it is here, and where what stands before surely ends."""
        first = data.find(self._delimiter, place)
        if first >= 0:
            if found := _FOLLOWING.match(data, first + len(self._delimiter)):
                return found, first
            if found := self._whole.search(data, first):
                return found, found.start()
        at = data.find(b"\r", max(place, len(data) - self._longest))
        while at >= 0 and not self._may_become(data[at:]):
            at = data.find(b"\r", at + 1)
        return None, at if at >= 0 else len(data)

    @cached_property
    def _whole(self) -> re.Pattern[bytes]:
        """The delimiter and what follows: 0.3 ms to compile, for content that is much like it."""
        return re.compile(re.escape(self._delimiter) + _FOLLOWS)

    def _may_become(self, rest: bytes) -> bool:
        size = len(self._delimiter)
        if len(rest) <= size:
            return self._delimiter.startswith(rest)
        more = rest[size:]
        return rest.startswith(self._delimiter) and _MAY_FOLLOW.fullmatch(more) is not None


def _disposition(header: bytes) -> tuple[str, bool]:
    """Return a part's name, and whether it names a file."""
    for line in _FOLD.sub(b" ", header).split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip(b" \t").lower() == b"content-disposition":
            try:
                options = parse_options_header(value.decode())[1]
            except ValueError:
                break
            return options.get("name", ""), "filename" in options
    raise Malformed("A part of the form has no readable Content-Disposition header.")
