"""Bytes of a JSON body become the same form as multipart gives; faults name their member.

OpenAI's `EditImageBodyJsonParam`: pictures as `images: [{"image_url": "data:…"}]`, a mask as
`mask: {"image_url": "data:…"}`, all else by the names of the form, numbers and booleans as JSON
has them. `null` is "left out".
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping
from typing import NoReturn

from gateway_http.form import MAX_BODY, MAX_IMAGES, MAX_TEXT, Form, FormError, too_large
from gateway_http.json_strings import MAX_REST, LiftedPicture, Lifter, TooMuch
from gateway_http.spool import Upload

NUMBERS = frozenset({"n", "output_compression", "seed", "partial_images"})
BOOLEANS = frozenset({"stream"})


class JsonReader:
    """Eats a body in pieces of any size and fills `form`; raises nothing but FormError.

    `known` are the names of the members beside `images` and `mask`. The caller closes `form`.
    """

    def __init__(self, known: Iterable[str]) -> None:
        self.form = Form()
        self._known = frozenset(known)
        self._mark = secrets.token_hex(16)
        self._lifter = Lifter(self._new_upload, self._mark)
        self._seen = 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body."""
        self._seen += len(data)
        if self._seen > MAX_BODY:
            raise too_large()
        try:
            self._lifter.feed(data)
        except TooMuch:
            message = f"The body has over {MAX_REST} bytes beside its pictures."
            raise FormError(message) from None

    def finish(self) -> Form:
        """Return the form after the last byte of the body."""
        document = _parsed(bytes(self._lifter.rest))
        images, mask = document.pop("images", None), document.pop("mask", None)
        for name, value in document.items():
            if name not in self._known:
                raise _unknown(name)
            if value is not None:
                self.form.text[name] = _text(name, value)
        # Uploads whose place is not a picture's stay in `form.images` until here, to be closed.
        uploads, self.form.images = self.form.images, []
        try:
            self._place(images, mask)
        finally:
            placed = {id(upload) for upload in (*self.form.images, self.form.mask)}
            for upload in uploads:
                if id(upload) not in placed:
                    upload.close()
        return self.form

    def _place(self, images: object, mask: object) -> None:
        if not isinstance(images, list) or not images:
            what = "is missing" if images is None else "must be a list with a picture in it"
            message = f'images {what}: send [{{"image_url": "data:image/png;base64,…"}}].'
            raise FormError(message, "images")
        if len(images) > MAX_IMAGES:
            raise FormError(f"images: no more than {MAX_IMAGES} pictures.", "images")
        for index, entry in enumerate(images):
            self.form.images.append(self._picture(entry, f"images[{index}]"))
        if mask is not None:
            self.form.mask = self._picture(mask, "mask")

    def _picture(self, entry: object, place: str) -> Upload:
        """Return the picture of {"image_url": "data:…"}."""
        if not isinstance(entry, dict):
            message = f'{place} must be an object: {{"image_url": "data:image/png;base64,…"}}.'
            raise FormError(message, place)
        given = {name: value for name, value in entry.items() if value is not None}
        if "file_id" in given:
            message = (
                f"{place}.file_id: there are no stored files here; send the picture itself as"
                " image_url with a data URL such as data:image/png;base64,…."
            )
            raise FormError(message, f"{place}.file_id")
        for name in given:
            if name != "image_url":
                raise FormError(f"{name[:64]!r} is not a member of {place}.", place)
        if not isinstance(url := given.get("image_url"), str):
            message = f"{place}.image_url must be a data URL such as data:image/png;base64,…."
            raise FormError(message, f"{place}.image_url")
        lifted = self._lifted(url)
        if lifted.problem:
            raise FormError(f"{place}.image_url {lifted.problem}.", f"{place}.image_url")
        return lifted.upload

    def _lifted(self, url: str) -> LiftedPicture:
        if url.startswith(self._mark):
            return self._lifter.pictures[int(url.removeprefix(self._mark))]
        # The member's name was not written plainly, so its text stayed in the rest.
        lifted = LiftedPicture(Upload())
        lifted.write(url.encode(errors="replace"))
        lifted.end()
        return lifted

    def _new_upload(self) -> Upload:
        if len(self.form.images) > MAX_IMAGES:  # the mask is one more
            raise FormError(f"images: no more than {MAX_IMAGES} pictures.", "images")
        self.form.images.append(Upload())
        return self.form.images[-1]


def _parsed(text: bytes) -> dict[str, object]:
    """Return the object that `text` is; `json` tells of repeated members, where orjson does not."""
    try:
        document = json.loads(
            text.decode(), object_pairs_hook=_members, parse_constant=_no_constant
        )
    except (ValueError, RecursionError):
        raise FormError("The body must be JSON.") from None
    if not isinstance(document, dict):
        raise FormError("The body must be a JSON object.")
    return document


def _members(pairs: list[tuple[str, object]]) -> Mapping[str, object]:
    members: dict[str, object] = {}
    for name, value in pairs:
        if name in members:
            raise FormError(f"{_shown(name)} is given more than once.", _shown(name))
        members[name] = value
    return members


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and Infinity are no JSON (RFC 8259, 6)


def _text(name: str, value: object) -> str:
    """Return a member's value as the form would have it."""
    if name in NUMBERS:
        if type(value) is not int:
            raise FormError(f"{name} must be a whole number.", name)
        return str(value)
    if name in BOOLEANS:
        if not isinstance(value, bool):
            raise FormError(f"{name} must be true or false.", name)
        return str(value).lower()
    if not isinstance(value, str):
        raise FormError(f"{name} must be a text.", name)
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise FormError(f"{name} is not text: it holds half a character.", name) from None
    if size > MAX_TEXT:
        raise FormError(f"{name} is longer than {MAX_TEXT} bytes.", name)
    return value


def _unknown(name: str) -> FormError:
    shown = _shown(name)
    hint = (
        ' Pictures go into images: [{"image_url": "data:…"}].' if name.startswith("image") else ""
    )
    return FormError(f"{shown!r} is not a member of this body.{hint}", shown or None)


def _shown(name: str) -> str:
    return name[:64].encode(errors="replace").decode()
