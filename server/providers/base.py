"""What a provider is: `build` a call, `read` its answer, `explain` its failure.

A provider packs and unpacks bytes. Masks, parameters and prompts are prepared before `build`
(the catalogue's route says how); sending, time, keys and downloads are the business of `upstream`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from server.domain import Picture, Tokens
from server.spool import File


@dataclass(frozen=True, slots=True)
class UpstreamEdit:
    """One edit in the words of one route.

    `model` is the upstream's name. `prompt` already holds the mask's instruction, `images` already
    end with the mask's picture where the route says so; `mask` is set for native masks alone.
    `fields` are the translated parameters by the upstream's own names. `image_fields` names where
    the pictures go, in order, for upstreams that take one field a picture. `partial_images` is how
    many unfinished pictures are wanted on the way: above 0 the answer is asked for as events.
    """

    model: str
    prompt: str
    images: tuple[Picture, ...]
    mask: Picture | None = None
    fields: Mapping[str, str | int] = field(default_factory=dict)
    image_fields: tuple[str, ...] = ()
    partial_images: int = 0


@dataclass(frozen=True, slots=True)
class FilePart:
    """A file of a multipart body."""

    name: str
    filename: str
    mime_type: str
    data: File


@dataclass(frozen=True, slots=True)
class TextPart:
    """A text field of a multipart body."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Call:
    """A POST below the provider's base URL: either a JSON document or multipart parts.

    A `Picture` in the document is sent as a data URL. The key is not in it; `upstream` adds it as a
    Bearer token.
    """

    path: str
    json: Mapping[str, object] | None = None
    parts: tuple[FilePart | TextPart, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """An upstream's whole answer; header names in lower case.

    Where it came as events, `body` is the data of the last one, which is the answer.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def streamed(self) -> bool:
        """Whether the answer came as events."""
        return self.headers.get("content-type", "").lower().startswith("text/event-stream")


@dataclass(frozen=True, slots=True)
class RemoteImage:
    """A URL, chosen by an upstream and therefore hostile, from which the picture is fetched."""

    url: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """A picture from an upstream: the file itself, or where it is; and the reported tokens."""

    picture: bytes | RemoteImage
    tokens: Tokens = Tokens()
    quality: str | None = None


class FailureKind(Enum):
    """What a failure means for the caller, the money and the next attempt."""

    REFUSED = "refused"  # the content: no other try can help, unbilled
    MODEL_GONE = "model gone"  # the vendor does not have the model any more, unbilled
    MISCONFIGURED = "misconfigured"  # our key, balance or permission, unbilled
    LIMITED = "limited"  # our account's own limit there: a later try may help, unbilled
    BUSY = "busy"  # full: a later try may help, unbilled
    FAILED = "failed"  # the vendor says that it failed, in its own documented shape: unbilled
    UNKNOWN = "unknown"  # not the vendor's documented shape: it may be billed


WAITING = frozenset({FailureKind.LIMITED, FailureKind.BUSY})
"""The kinds with which a vendor may say how long to wait."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an upstream gave no picture.

    `detail` is for the log alone: the vendor's words, cut to 1,000 characters. `field` is the
    caller's field that the vendor refused, where it says so. `moderation` tells a refusal of the
    content by policy from one for form. `retry_after` is the vendor's wish in seconds.
    """

    kind: FailureKind
    detail: str
    field: str | None = None
    moderation: bool = False
    retry_after: float | None = None


class Provider(Protocol):
    """A vendor's wire format."""

    def build(self, edit: UpstreamEdit) -> Call:
        """Return the call that asks the vendor for `edit`; strict: only fields the vendor knows."""

    def read(self, answer: Answer) -> Delivery | Failure:
        """Return what a 2xx answer delivers; lenient: only the fields used, null allowed."""

    def explain(self, answer: Answer) -> Failure:
        """Return what any other answer means."""
