"""Bytes of a multipart/form-data body become text fields and pictures; faults name their field.

RFC 7578, as the OpenAI SDKs send it: pictures in `image` or `image[]`, before or after the text,
with any declared type, with or without a file name.
"""

from __future__ import annotations

from collections.abc import Iterable

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio.multipart import Data, Event, Field, File, MultipartDecoder, NeedData, State

from gateway_http.spool import Upload

MAX_BODY = 100_000_000
MAX_TEXT = 128_000
"""Bytes of one text field: a prompt of 32,000 characters of four bytes each."""
MAX_IMAGES = 16
READ_SIZE = 65_536
_MAX_PART_HEADER = 65_536
_MAX_PADDING = 256
_PADDING = b"- \t\v\f\r"


class FormError(Exception):
    """The form cannot be used; `status` is 400, 408 or 413, `field` the one at fault."""

    def __init__(self, message: str, field: str | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.status = status


def too_large() -> FormError:
    """Return the error for a body above MAX_BODY."""
    return FormError(f"The body is larger than {MAX_BODY} bytes.", status=413)


class Form:
    """The fields of a form. Close it, also after an error: pictures may lie on disk."""

    def __init__(self) -> None:
        self.text: dict[str, str] = {}
        self.images: list[Upload] = []
        self.mask: Upload | None = None

    @property
    def picture_bytes(self) -> int:
        """The size of all pictures and the mask together."""
        return sum(upload.size for upload in self._uploads())

    def close(self) -> None:
        """Forget the pictures."""
        for upload in self._uploads():
            upload.close()

    def __enter__(self) -> Form:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _uploads(self) -> list[Upload]:
        return self.images if self.mask is None else [*self.images, self.mask]


class FormReader:
    """Eats a body in pieces of any size and fills `form`; raises nothing but FormError.

    `known` are the names of the text fields. The caller closes `form`.
    """

    def __init__(self, boundary: bytes, known: Iterable[str]) -> None:
        self.form = Form()
        self._known = frozenset(known)
        self._decoder = MultipartDecoder(boundary, READ_SIZE + _MAX_PADDING + _MAX_PART_HEADER)
        self._longest_boundary = len(b"\r\n--\r\n" + boundary) + _MAX_PADDING
        self._upload: Upload | None = None
        self._seen = 0
        self._held = b""
        self._name = ""
        self._text = bytearray()

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body."""
        self._seen += len(data)
        if self._seen > MAX_BODY:
            raise too_large()
        for start in range(0, len(data), READ_SIZE):
            piece = self._held + data[start : start + READ_SIZE]
            # werkzeug 3.1.9 adds a stray CR or LF to a part where a piece ends in the middle of
            # what follows a boundary: its dashes, padding or line break.
            end = max(len(piece.rstrip(_PADDING)), len(piece) - _MAX_PADDING)
            self._held = piece[end:]
            self._decode(piece[:end])

    def finish(self) -> Form:
        """Return the form after the last byte of the body."""
        self._decode(self._held, last=True)
        if self._decoder.state is not State.EPILOGUE:
            message = "The form ends before its closing boundary: the body is cut short."
            raise FormError(message, self._name or None)
        if not self.form.images:
            raise FormError("image is missing: send the picture to edit as a file.", "image")
        for upload in self.form.images:
            if not upload.size:
                raise FormError("image is empty: send the picture to edit as a file.", "image")
        if self.form.mask is not None and not self.form.mask.size:
            raise FormError("mask is empty: send a picture, or leave it out.", "mask")
        return self.form

    def _decode(self, data: bytes, *, last: bool = False) -> None:
        # What follows the closing boundary means nothing (RFC 2046, 5.1.1).
        if self._decoder.state is State.EPILOGUE:
            return
        try:
            self._decoder.receive_data(data)
            while last or not self._may_be_empty():
                event = self._decoder.next_event()
                if isinstance(event, NeedData):
                    break
                self._take(event)
        except RequestEntityTooLarge:
            message = "The form has no boundary where one must be, or a part's header is too long."
            raise FormError(message) from None
        except ValueError:
            message = "A part of the form has no readable Content-Disposition header."
            raise FormError(message) from None

    def _may_be_empty(self) -> bool:
        """Tell whether a part has begun and more is needed to see that no boundary follows at once.

        Else such a part, which lacks a line break, is empty or not by where the network cut it.
        """
        begun = self._decoder.state is State.DATA_START
        return begun and len(self._decoder.buffer) < self._longest_boundary

    def _take(self, event: Event) -> None:
        if isinstance(event, Field | File):
            self._begin(event)
        elif isinstance(event, Data):
            if self._upload is not None:
                self._upload.write(event.data)
                return
            self._text += event.data
            if len(self._text) > MAX_TEXT:
                raise FormError(f"{self._name} is longer than {MAX_TEXT} bytes.", self._name)
            if not event.more_data:
                self._end_text()

    def _begin(self, event: Field | File) -> None:
        # werkzeug's annotation promises a name, but a part need not have one.
        name = event.name if isinstance(event.name, str) else ""
        self._name, self._upload = name, None
        if name in {"image", "image[]"}:
            if len(self.form.images) == MAX_IMAGES:
                raise FormError(f"image: no more than {MAX_IMAGES} pictures.", "image")
            self._upload = Upload()
            self.form.images.append(self._upload)
        elif name == "mask":
            if self.form.mask is not None:
                raise FormError("mask is given more than once.", "mask")
            self._upload = self.form.mask = Upload()
        elif name not in self._known:
            shown = name[:64]
            raise FormError(f"{shown!r} is not a field of this form.", shown or None)
        elif isinstance(event, File):
            raise FormError(f"{name} is a text field but was sent as a file.", name)
        elif name in self.form.text:
            raise FormError(f"{name} is given more than once.", name)

    def _end_text(self) -> None:
        try:
            self.form.text[self._name] = self._text.decode()
        except UnicodeDecodeError:
            raise FormError(f"{self._name} is not UTF-8 text.", self._name) from None
        self._text.clear()
