"""Bytes of a multipart/form-data body become text fields and pictures; faults name their field.

RFC 7578, as the OpenAI SDKs send it: pictures in `image` or `image[]`, before or after the text,
with any declared type, with or without a file name.
"""

from __future__ import annotations

from collections.abc import Iterable

from gateway_http.multipart import Malformed, Splitter
from gateway_http.spool import Upload

MAX_BODY = 100_000_000
MAX_TEXT = 128_000
"""Bytes of one text field: a prompt of 32,000 characters of four bytes each."""
MAX_IMAGES = 16
READ_SIZE = 262_144


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
        self._fields = _Fields(self.form, frozenset(known))
        self._splitter = Splitter(boundary, self._fields)
        self._seen = 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body."""
        self._seen += len(data)
        if self._seen > MAX_BODY:
            raise too_large()
        try:
            self._splitter.feed(data)
        except Malformed as problem:
            raise FormError(str(problem)) from None

    def finish(self) -> Form:
        """Return the form after the last byte of the body."""
        if not self._splitter.closed:
            message = "The form ends before its closing boundary: the body is cut short."
            raise FormError(message, self._fields.name or None)
        if not self.form.images:
            raise FormError("image is missing: send the picture to edit as a file.", "image")
        for upload in self.form.images:
            if not upload.size:
                raise FormError("image is empty: send the picture to edit as a file.", "image")
        if self.form.mask is not None and not self.form.mask.size:
            raise FormError("mask is empty: send a picture, or leave it out.", "mask")
        return self.form


class _Fields:
    """The parts of a body on their way into `form`; `name` is the latest one's."""

    def __init__(self, form: Form, known: frozenset[str]) -> None:
        self.name = ""
        self._form = form
        self._known = known
        self._upload: Upload | None = None
        self._text = bytearray()

    def begin(self, name: str, *, is_file: bool) -> None:
        """Begin the field `name`; raises FormError for one that must not be here."""
        self.name, self._upload = name, None
        if name in {"image", "image[]"}:
            if len(self._form.images) == MAX_IMAGES:
                raise FormError(f"image: no more than {MAX_IMAGES} pictures.", "image")
            self._upload = Upload()
            self._form.images.append(self._upload)
        elif name == "mask":
            if self._form.mask is not None:
                raise FormError("mask is given more than once.", "mask")
            self._upload = self._form.mask = Upload()
        elif name not in self._known:
            shown = name[:64]
            raise FormError(f"{shown!r} is not a field of this form.", shown or None)
        elif is_file:
            raise FormError(f"{name} is a text field but was sent as a file.", name)
        elif name in self._form.text:
            raise FormError(f"{name} is given more than once.", name)

    def add(self, content: memoryview) -> None:
        """Take the next bytes of the field."""
        if self._upload is not None:
            self._upload.write(content)
            return
        self._text += content
        if len(self._text) > MAX_TEXT:
            raise FormError(f"{self.name} is longer than {MAX_TEXT} bytes.", self.name)

    def end(self) -> None:
        """End the field."""
        if self._upload is not None:
            return
        try:
            self._form.text[self.name] = self._text.decode()
        except UnicodeDecodeError:
            raise FormError(f"{self.name} is not UTF-8 text.", self.name) from None
        self._text.clear()
