"""What goes over the simulator's wire: a request in, a reply out, and a vendor between them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from PIL import Image


@dataclass(frozen=True, slots=True)
class Request:
    """A whole HTTP request; header names in lower case, `path` without a query."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def key(self) -> str:
        """The Bearer token, or "" where there is none."""
        scheme, _, key = self.headers.get("authorization", "").partition(" ")
        return key.strip() if scheme.lower() == "bearer" else ""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. `manner` is how it is sent: "" plainly, else a fault of stage SOCKET.

    `amount` is that fault's number. `gap` is the seconds between two events of a stream.
    """

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    manner: str = ""
    amount: float = 0.0
    gap: float = 0.0

    @classmethod
    def of(cls, status: int, document: object, **headers: str) -> Reply:
        """Return a JSON answer; an underscore in a header's name stands for a hyphen."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return cls(status, json.dumps(document, ensure_ascii=False).encode(), headers=names)


class Refusal(Exception):
    """A request the vendor refuses, with the answer it gives."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.body[:300].decode(errors="replace"))
        self.reply = reply


@dataclass(frozen=True, slots=True)
class Upload:
    """A picture's file as sent, unchecked, under the field's name and its declared type."""

    name: str
    content_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Submission:
    """A request's parsed body: `fields` without the files, `uploads` in order."""

    fields: Mapping[str, object]
    uploads: tuple[Upload, ...] = ()

    @property
    def prompt(self) -> str:
        """The prompt as sent, or "" where there is none."""
        prompt = self.fields.get("prompt")
        return prompt if isinstance(prompt, str) else ""


@dataclass(frozen=True, slots=True)
class Order:
    """A checked request: what to paint and how to hand it over.

    `images` are the pictures to edit, `source` is the first one's file. `size` is the output's
    width and height in pixels. `mask` is an "L" picture of the first image's size, 255 = edit.
    `output_format` is Pillow's name, `quality` is never "auto". `partial_images` is `None`
    without streaming; in a stream, `gap` is the seconds between events, and `error` what takes the
    final picture's place. The picture comes with `share` of its sides.
    """

    model: str
    prompt: str
    images: tuple[Image.Image, ...]
    source: bytes
    size: tuple[int, int]
    mask: Image.Image | None = None
    output_format: str = "PNG"
    compression: int = 100
    quality: str = "medium"
    background: str = "opaque"
    count: int = 1
    partial_images: int | None = None
    gap: float = 0.0
    error: Reply | None = None
    seed: int = 0
    share: float = 1.0


class Vendor(Protocol):
    """A vendor's wire format. Every method is pure, apart from results kept for download."""

    name: str
    endpoint: str

    def parse(self, request: Request) -> Submission:
        """Return the request's parts, or raise `Refusal` (no key, no such body)."""

    def check(self, submission: Submission, prompt: str) -> Order:
        """Return the order, or raise `Refusal`; `prompt` is the one without directives."""

    def deliver(self, request: Request, order: Order, pictures: list[bytes]) -> Reply:
        """Return the answer that holds `pictures`: files in the order's format."""

    def fail(self, fault: str) -> Reply | None:
        """Return the vendor's answer for a fault of stage ANSWER, `None` if it has none."""

    def refuse(self, message: str, status: int = 400) -> Reply:
        """Return the vendor's plain error."""
