"""A request's line and headers as bytes: whether they are whole, and what no two servers agree on.

RFC 9112, sections 3 and 5: what may be read in two ways is refused instead of repaired, since a
proxy before us may have read it the other way.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cheroot.server import HeaderReader

from gateway_http.bounds import MAX_GATHERED, MAX_HEAD

_END = re.compile(rb"\n\r?\n")
_LINE = re.compile(rb"(?:\r\n)?[!-~]+ [!-~\x80-\xff]+ HTTP/\d\.\d\r?\n")
_BEGINS = re.compile(rb"(?:\r\n)?[A-Za-z]|\r\n?\Z")
_LENGTH = re.compile(rb"\ncontent-length:[ \t]*([0-9]{1,9})[ \t]*\r\n")
_EXPECTS = re.compile(rb"\nexpect:[ \t]*100-continue[ \t]*\r\n")
# A bare CR or LF, a folded line, and every control character but the tabulator.
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|(?<!\r)\n|\n[ \t]")
_HOST = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]*)(?::[0-9]*)?")
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2


def end(data: bytes | bytearray, start: int = 0) -> int:
    """Return how many bytes of `data` the head takes, 0 while more must come to tell.

    The first `start` bytes were looked at before. A head that cannot become one any more ends
    where `data` ends: then it can be refused.
    """
    found = _END.search(data, max(0, start - 3))
    if found:
        return found.end()
    line = data.find(b"\n", 2, MAX_HEAD) if start < MAX_HEAD else -1
    hopeless = (
        len(data) > MAX_HEAD
        or (line >= start and not _LINE.match(data))
        or (data and not _BEGINS.match(data))
    )
    return len(data) if hopeless else 0


def body_to_gather(head: bytes) -> int:
    """Return the size of the body that follows `head`, 0 where it is large, or not told simply."""
    head = head.lower()
    lengths = _LENGTH.findall(head)
    if len(lengths) != 1 or b"\ntransfer-encoding" in head:
        return 0
    size = int(lengths[0])
    return size if size <= MAX_GATHERED else 0


def asks_first(head: bytes) -> bool:
    """Tell whether the client waits for a 100 before it sends its body (RFC 9110, 10.1.1)."""
    return b" HTTP/1.1\r\n" in head and _EXPECTS.search(head.lower()) is not None


def check(head: bytes) -> None:
    """Raise ValueError, with what is wrong, for a head that is malformed as a whole."""
    if not _LINE.match(head):
        raise ValueError("The request line is malformed.")
    if _CONTROL.search(head):
        raise ValueError("The headers hold a control character, a bare line end or a folded line.")


class Headers(dict[bytes, bytes]):
    """A request's headers; `awaits_continue` tells that the client asks before it sends a body."""

    awaits_continue = False

    def __setitem__(self, name: bytes, value: bytes) -> None:
        if name == b"Content-Length" and self.get(name, value) != value:
            raise ValueError("Content-Length is given twice.")
        if name == b"Host" and name in self:
            raise ValueError("Host is given twice.")
        super().__setitem__(name, value)


class Reader(HeaderReader):
    """Reads headers; refuses what two servers could read in two ways."""

    def __call__(self, rfile: Any, hdict: Any = None) -> Headers:
        """Fill `hdict`; raises ValueError, which cheroot answers with a 400."""
        headers: Headers = super().__call__(rfile, hdict)
        if headers.get(b"Transfer-Encoding", b"chunked").lower() != b"chunked":
            raise ValueError("Transfer-Encoding must be chunked, or not there.")
        length = headers.get(b"Content-Length", b"0")
        if not re.fullmatch(rb"[0-9]{1,18}", length):
            raise ValueError("Content-Length must be a number.")
        if b"Content-Length" in headers and b"Transfer-Encoding" in headers:
            raise ValueError("Content-Length and Transfer-Encoding exclude each other.")
        if headers.pop(b"Expect", b"").lower() == b"100-continue":
            headers.awaits_continue = True
        options = {one.strip().lower() for one in headers.get(b"Connection", b"").split(b",")}
        for option, known in ((b"close", b"close"), (b"keep-alive", b"Keep-Alive")):
            if option in options:  # cheroot knows each in one spelling
                headers[b"Connection"] = known
                break
        return headers

    def _transform_key(self, key_name: bytes) -> bytes:
        if not _TOKEN.fullmatch(key_name):
            raise ValueError("A header's name is malformed.")
        return key_name.title()

    def _allow_header(self, key_name: bytes) -> bool:
        # WSGI would confuse it with the one that has a hyphen.
        return b"_" not in key_name


def check_version(version: str, headers: Mapping[bytes, bytes]) -> None:
    """Raise ValueError for what HTTP `version` demands or forbids (RFC 9112, 3.2 and 6.1)."""
    if version == "HTTP/1.1" and b"Host" not in headers:
        raise ValueError("Host is missing.")
    if not _HOST.fullmatch(headers.get(b"Host", b"")):
        raise ValueError("Host is malformed.")
    if version != "HTTP/1.1" and b"Transfer-Encoding" in headers:
        raise ValueError("Transfer-Encoding is not for HTTP/1.0.")
