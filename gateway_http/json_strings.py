"""Lifts the pictures out of a JSON body as it arrives; what is left is small enough to parse.

A picture is the text of a member `image_url`, up to 100 MB of it. It never stands in memory whole:
its data URL (RFC 2397) is decoded piece by piece into an `Upload`, and a marker takes its place.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pybase64

from gateway_http.spool import Upload

TYPES = ("image/png", "image/jpeg", "image/webp")
"""The declared types that a data URL may have; the real one is recognised by content."""
MAX_REST = 1_048_576
"""Bytes of all that is no picture: a prompt of 32,000 characters fits, however it is escaped."""

_MAX_HEAD = 256
_PICTURE_FOLLOWS = re.compile(rb'"image_url"[ \t\r\n]{0,32}:[ \t\r\n]{0,32}$')
_LOOK_BACK = 80
_HEAD = re.compile(rb"data:([^;,]*)((?:;[^;,]*)*);base64", re.IGNORECASE)
_INSIDE = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_UNFINISHED = re.compile(rb"\\(?:u[0-9A-Fa-f]{0,3})?$")
_ESCAPE = re.compile(rb"\\u00([0-7][0-9A-Fa-f])")
# Those that encoders write into a data URL (RFC 8259, 7): slashes, and what is special in HTML.
_ESCAPES = [
    (b"\\/", b"/"),
    *((f"\\u00{code}".encode(), bytes.fromhex(code)) for code in ("2b", "2B", "2f", "2F")),
    *((f"\\u00{code}".encode(), bytes.fromhex(code)) for code in ("3d", "3D", "2c", "2C")),
]


class TooMuch(Exception):
    """What is no picture is over MAX_REST bytes."""


class LiftedPicture:
    """The text of one `image_url` on its way into `upload`; `problem` says why it is no picture."""

    def __init__(self, upload: Upload) -> None:
        self.upload = upload
        self.problem = ""
        self._head: bytes | None = b""
        self._unfinished = b""
        self._held = b""

    def write(self, text: bytes) -> None:
        """Take the next bytes of the text as JSON has it, escapes and all."""
        if self.problem:
            return
        text = self._plain(text)
        if self._head is not None:
            self._head += text
            head, comma, text = self._head.partition(b",")
            if not comma and len(head) <= _MAX_HEAD:
                return
            self._head = None
            self.problem = _problem_of(head)
        self._held += text
        # The last group of four is kept: it may be padded, which is allowed at the end alone.
        whole = (len(self._held) - 1) // 4 * 4
        if whole > 0 and not self.problem:
            self._decode(self._held[:whole])
            self._held = self._held[whole:]

    def end(self) -> None:
        """Take note that the text is over."""
        if self._head is not None:
            self.problem = _problem_of(self._head) or "holds no picture: it has no comma"
        elif not self.problem:
            self._decode(self._held + self._unfinished, most_padding=2)
        if not self.problem and not self.upload.size:
            self.problem = "holds no picture: nothing follows its comma"

    def _plain(self, text: bytes) -> bytes:
        """Return `text` without its escapes; one that is cut waits for its rest."""
        text = self._unfinished + text
        cut = _UNFINISHED.search(text, max(0, len(text) - 5))
        self._unfinished = text[cut.start() :] if cut else b""
        text = text[: cut.start()] if cut else text
        if b"\\" in text:
            for escaped, plain in _ESCAPES:
                text = text.replace(escaped, plain)
        return text

    def _decode(self, text: bytes, *, most_padding: int = 0) -> None:
        try:
            data = pybase64.b64decode(text, validate=True)
            padded = len(text) // 4 * 3 - len(data)
        except ValueError:
            padded = 3
        if padded > most_padding:
            self.problem = "is no base64"
        else:
            self.upload.write(data)


class Lifter:
    """Eats a body in pieces of any size. `new` makes uploads; `mark` is what no caller can guess.

    `rest` is the JSON without its pictures: each became a text of `mark` and its number in
    `pictures`.
    """

    def __init__(self, new: Callable[[], Upload], mark: str) -> None:
        self.rest = bytearray()
        self.pictures: list[LiftedPicture] = []
        self._new = new
        self._mark = mark.encode()
        self._inside = False
        self._lifted: LiftedPicture | None = None
        self._held = b""

    def feed(self, data: bytes) -> None:
        """Take the next bytes; raises TooMuch, and what `new` raises."""
        data = self._held + data
        self._held = b""
        place = 0
        while place < len(data):
            place = self._string(data, place) if self._inside else self._between(data, place)
        if len(self.rest) > MAX_REST:
            raise TooMuch

    def _between(self, data: bytes, place: int) -> int:
        """Take what stands between two texts; return where the next one begins."""
        quote = data.find(b'"', place)
        end = len(data) if quote < 0 else quote
        self.rest += data[place:end]
        if quote < 0:
            return end
        self._inside = True
        if _PICTURE_FOLLOWS.search(self.rest[-_LOOK_BACK:]):
            self.rest += b'"%s%d' % (self._mark, len(self.pictures))
            self._lifted = LiftedPicture(self._new())
            self.pictures.append(self._lifted)
        else:
            self.rest += b'"'
        return quote + 1

    def _string(self, data: bytes, place: int) -> int:
        """Take a text, or what there is of it."""
        match = _INSIDE.match(data, place)
        end = match.end() if match else place  # it always matches
        text = data[place:end]
        if self._lifted is None:
            self.rest += text
        else:
            self._lifted.write(text)
        if data[end : end + 1] != b'"':
            self._held = data[end:]  # a backslash that waits for what it escapes, or nothing
            return len(data)
        self._inside = False
        self.rest += b'"'
        if self._lifted is not None:
            self._lifted.end()
            self._lifted = None
        return end + 1


def _problem_of(head: bytes) -> str:
    """Return what is wrong with what stands before a data URL's comma, "" if nothing is."""
    head = _ESCAPE.sub(lambda found: bytes([int(found[1], 16)]), head[: _MAX_HEAD * 6])
    if head[:5].lower() != b"data:":
        return (
            "must be a data URL such as data:image/png;base64,…: pictures are not fetched from"
            " other addresses, send the file itself"
        )
    match = _HEAD.fullmatch(head)
    if match is None:
        return "must be a data URL in base64, such as data:image/png;base64,…"
    kind = match[1].decode("ascii", "replace").strip().lower()
    if kind in TYPES:
        return ""
    return f"must be a data URL of type {', '.join(TYPES[:-1])} or {TYPES[-1]}; got {kind[:64]!r}"
