"""The words of the service: what an edit asks for, what it gives, how it fails.

Plain data. Nothing here knows gRPC, HTTP, Pillow or a database.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, StrEnum

from server.spool import File, contents, spooled

MAX_PROMPT_CHARACTERS = 32_000
MAX_USER_CHARACTERS = 512


class MaskConvention(StrEnum):
    """How a mask's pixels say where to edit (contract, section 1)."""

    OPAQUE = "opaque"
    TRANSPARENT = "transparent"
    LUMINANCE = "luminance"


class MaskFidelity(StrEnum):
    """How strictly a mask protects (contract, section 4)."""

    EXACT = "exact"
    HINT = "hint"


class MaskMethod(StrEnum):
    """How a mask goes to an upstream (contract, section 4)."""

    NATIVE = "native"
    SECOND_IMAGE = "second_image"
    INSTRUCTION = "instruction"


class OutputFormat(StrEnum):
    """The type of a resulting picture."""

    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"

    @property
    def mime_type(self) -> str:
        """The media type, such as "image/png"."""
        return f"image/{self.value}"


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture's file that passed every check: upright, 8 bits, no metadata.

    `width` and `height` are pixels; `mime_type` is that of `file`.
    """

    mime_type: str
    file: File
    width: int
    height: int

    @property
    def data(self) -> bytes:
        """The file's bytes: of a large one that lies on disk, a copy each time."""
        return contents(self.file)

    @property
    def extension(self) -> str:
        """The file name's usual ending for the type: "png", "jpg" or "webp"."""
        return {"image/jpeg": "jpg"}.get(self.mime_type, self.mime_type.removeprefix("image/"))


def on_disk(picture: Picture) -> Picture:
    """Return `picture`, a large one with its file on disk: the upstream may take minutes."""
    return replace(picture, file=spooled(picture.file))


@dataclass(frozen=True, slots=True)
class EditRequest:
    """One edit as the caller asked for it; `None` is "the default".

    `images` and `mask` are files as uploaded, unchecked. `size` is "WIDTHxHEIGHT" or "auto".
    """

    model: str
    prompt: str
    images: tuple[File, ...]
    mask: File | None = None
    mask_convention: MaskConvention = MaskConvention.OPAQUE
    mask_fidelity: MaskFidelity = MaskFidelity.EXACT
    size: str | None = None
    quality: str | None = None
    background: str | None = None
    output_format: OutputFormat = OutputFormat.PNG
    output_compression: int | None = None
    input_fidelity: str | None = None
    moderation: str | None = None
    seed: int | None = None
    user: str = ""
    partial_images: int = 0

    @property
    def picture_bytes(self) -> int:
        """The size of all files together."""
        return sum(map(len, self.images)) + len(self.mask or b"")


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens that an upstream reported; zeros where it reports none."""

    input: int = 0
    input_text: int = 0
    input_image: int = 0
    output: int = 0


@dataclass(frozen=True, slots=True)
class MaskReport:
    """How the mask was used. `drift` is 0 to 1 (contract, section 4)."""

    method: MaskMethod
    unaligned: bool
    drift: float


@dataclass(frozen=True, slots=True)
class EditResult:
    """The edited picture and the facts about it; `cost_nanos` is what was charged, in nano-dollars.

    `created` is Unix milliseconds; `replayed` tells that it is a stored answer, given again.
    """

    id: str
    created: int
    model: str
    picture: Picture
    transparent: bool
    quality: str
    tokens: Tokens
    cost_nanos: int
    ignored_parameters: tuple[str, ...]
    mask_report: MaskReport | None
    replayed: bool = False


class Situation(Enum):
    """The rows of the contract's error table, as far as the service can be in them."""

    INVALID_KEY = "invalid_key"
    BAD_REQUEST = "bad_request"
    TOO_LARGE = "too_large"
    MODEL_MISMATCH = "model_mismatch"
    FORBIDDEN = "forbidden"
    NO_CREDIT = "no_credit"
    IDEMPOTENCY_REUSED = "idempotency_reused"
    LIMITED = "limited"
    UPSTREAM_FAILED = "upstream_failed"
    UPSTREAM_BUSY = "upstream_busy"
    UPSTREAM_TIMEOUT = "upstream_timeout"
    CANCELLED = "cancelled"
    NOT_FOUND = "not_found"
    BUG = "bug"


class EditError(Exception):
    """A failure the caller may read.

    `message` says what was wrong and what would be right; it never holds a key, an upstream's
    body or a path. `field` is the request's field at fault. `limit` is what was exceeded, such as
    "16777216 pixels". `retry_after` is seconds after which a repeat is safe and may help, else
    `None`.
    """

    def __init__(
        self,
        situation: Situation,
        message: str,
        *,
        field: str | None = None,
        limit: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.situation = situation
        self.message = message
        self.field = field
        self.limit = limit
        self.retry_after = retry_after
