"""The form reader: any bytes are a form or a refusal, however the network cuts them."""

from __future__ import annotations

import io

from gateway_http.body import ChunkedBody, SizedBody
from gateway_http.form import FormError
from gateway_http.parameters import FIELDS
from gateway_http.receive import Body, receive

CONTENT_TYPE = "multipart/form-data; boundary=b"
MAX_LENGTH = 4096

_PART = b'--b\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n'
_FILE = b'; filename="upload"\r\nContent-Type: application/octet-stream'
_CHUNK = b"%x\r\n%s\r\n"
_WHOLE = (
    _PART % (b"model", b"", b"brand/model")
    + _PART % (b"image", _FILE, b"\x89PNG\r\n--\r\n-b")
    + _PART % (b"prompt", b"", b"sepia \xc3\xa9")
    + b"--b--\r\n"
)
SEEDS = (
    b"\x01" + _WHOLE,
    b"\x07" + _WHOLE + b"epilogue",
    b"\x05preamble\r\n" + _PART % (b"image[]", _FILE, b"a") * 2 + b"--b--",
    b"\x11" + _PART % (b"mask", _FILE, b"m") + _PART % (b"image", _FILE, b"i") + b"--b --\r\n",
    b"\x21" + _PART % (b"image", b"; filename*=utf-8''%C3%BC.png", b"i") + b"--b--\r\n",
    b"\x83" + b"".join(_CHUNK % (len(p), p) for p in (_WHOLE[:90], _WHOLE[90:], b"")),
    b"\x40multipart/form-data; boundary=\"b\"\n" + _WHOLE,
)  # fmt: skip
WORDS = (
    *(b"--b", b"--b--", b"--b\r\n", b"\r\n--b", b"\r\n\r\n", b"\r", b"\n", b"Content-Disposition"),
    *(b'; name="image"', b'; name="mask"', b'; name="prompt"', b'; name="image[]"', b"form-data"),
    *(b'; filename="x"', b"; filename*=utf-8''", b"; name*0=", b"multipart/form-data; boundary="),
    *(b"Content-Transfer-Encoding: base64", b"Content-Type: text/plain; charset=", b"0\r\n\r\n"),
)


class _Dripping(io.BytesIO):
    """A connection that gives at most `piece` bytes at a time."""

    def __init__(self, data: bytes, piece: int) -> None:
        super().__init__(data)
        self._piece = piece

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(self._piece if size is None or size < 0 else min(size, self._piece))


def check(data: bytes) -> None:
    """Read the form in `data` in two ways that must agree; raises whatever should not happen.

    The first byte chooses the framing: 0x80 a chunked body, 0x40 a Content-Type line before the
    body; the rest of it is the size of the network's pieces.
    """
    way, content_type = data[0] if data else 0, CONTENT_TYPE
    body = data[1:]
    if way & 0x40:
        line, _, body = body.partition(b"\n")
        content_type = line.decode("latin-1")
    whole = _outcome(body, content_type, 1 << 16, chunked=bool(way & 0x80))
    cut = _outcome(body, content_type, 1 + (way & 0x3F), chunked=bool(way & 0x80))
    if whole != cut:
        raise AssertionError(f"cut into pieces it is {cut!r}, whole {whole!r}")


def _outcome(data: bytes, content_type: str, piece: int, *, chunked: bool) -> object:
    """Return what the form holds, or `None` for a refusal."""
    source = _Dripping(data, piece)
    body: Body = ChunkedBody(source, _ready) if chunked else SizedBody(source, len(data), _ready)
    try:
        form = receive(body, content_type, None if chunked else len(data), FIELDS)
    except FormError as refusal:
        if refusal.status not in {400, 413} or not refusal.message:
            raise AssertionError(f"an odd refusal: {refusal.status}") from refusal
        return None
    with form:
        masks = [] if form.mask is None else [form.mask.data()]
        return form.text, [upload.data() for upload in form.images], masks


def _ready() -> None:
    """Nothing is awaited here."""
