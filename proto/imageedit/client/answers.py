"""What the service answers, as plain data. Money is whole nano-dollars, and exact dollars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from os import PathLike
from pathlib import Path

from imageedit.v1 import image_edit_pb2 as pb


def dollars(nanos: int) -> Decimal:
    """Return nano-dollars as exact US dollars."""
    return Decimal(nanos).scaleb(-9)


@dataclass(frozen=True, slots=True)
class Usage:
    """What an edit used and cost. Tokens are 0 where the upstream reports none."""

    input_tokens: int
    input_text_tokens: int
    input_image_tokens: int
    output_tokens: int
    cost_nanos: int

    @property
    def cost(self) -> Decimal:
        """US dollars."""
        return dollars(self.cost_nanos)


@dataclass(frozen=True, slots=True)
class Result:
    """An edited picture and the facts about it.

    `picture` is a file of the type `output_format` ("png", "jpeg", "webp"), `width` and `height`
    are its pixels. `mask_method` is "native", "second_image" or "instruction", and `None` where
    there was no mask; with `mask_unaligned` nothing could be put back. `mask_drift` is the change
    outside the mask that the model made, 0 to 1. `replayed`: a stored answer, not paid again.
    """

    picture: bytes = field(repr=False)
    model: str
    width: int
    height: int
    output_format: str
    quality: str
    background: str
    created: datetime
    usage: Usage
    ignored_parameters: tuple[str, ...]
    mask_method: str | None
    mask_unaligned: bool
    mask_drift: float | None
    edit_id: str
    request_id: str | None
    replayed: bool

    def save(self, path: str | PathLike[str]) -> None:
        """Write the picture to a file, whole or not at all."""
        target = Path(path)
        part = target.with_name(f"{target.name}.part")
        part.write_bytes(self.picture)
        part.replace(target)


@dataclass(frozen=True, slots=True)
class Model:
    """A model that can be routed now; `pricing` in US dollars as decimal strings, by kind."""

    id: str
    name: str
    description: str
    owned_by: str
    features: tuple[str, ...]
    pricing: Mapping[str, str]
    supported_parameters: tuple[str, ...]
    expiration_date: date | None
    max_input_images: int


@dataclass(frozen=True, slots=True)
class Credits:
    """What the key's account has, holds included; what is held; what was spent. Nano-dollars."""

    balance_nanos: int
    held_nanos: int
    spent_nanos: int

    @property
    def balance(self) -> Decimal:
        """US dollars that are left, holds included."""
        return dollars(self.balance_nanos)

    @property
    def free(self) -> Decimal:
        """US dollars that an edit may use now."""
        return dollars(self.balance_nanos - self.held_nanos)


def result(
    facts: pb.EditImageResponse, picture: bytes, request_id: str | None, *, replayed: bool
) -> Result:
    """Return a result from its message and its chunks, joined."""
    report = facts.mask_report if facts.HasField("mask_report") else None
    used = facts.usage
    return Result(
        picture=picture,
        model=facts.model,
        width=facts.width,
        height=facts.height,
        output_format=word(pb.OutputFormat.Name(facts.output_format), "OUTPUT_FORMAT_"),
        quality=word(pb.Quality.Name(facts.quality), "QUALITY_"),
        background=word(pb.Background.Name(facts.background), "BACKGROUND_"),
        created=facts.create_time.ToDatetime(UTC),
        usage=Usage(
            used.input_tokens,
            used.input_text_tokens,
            used.input_image_tokens,
            used.output_tokens,
            used.cost_nanos,
        ),
        ignored_parameters=tuple(facts.ignored_parameters),
        mask_method=report and word(pb.MaskMethod.Name(report.method), "MASK_METHOD_"),
        mask_unaligned=bool(report and report.unaligned),
        mask_drift=report.drift if report else None,
        edit_id=facts.edit_id,
        request_id=request_id,
        replayed=replayed,
    )


def model(message: pb.Model) -> Model:
    """Return a model from its message."""
    ends = message.expiration_date
    return Model(
        id=message.id,
        name=message.name,
        description=message.description,
        owned_by=message.owned_by,
        features=tuple(message.features),
        pricing=dict(message.pricing),
        supported_parameters=tuple(message.supported_parameters),
        expiration_date=date.fromisoformat(ends) if ends else None,
        max_input_images=message.max_input_images,
    )


def word(name: str, prefix: str) -> str:
    """Return an enum's name as it is said here, such as "low" for "QUALITY_LOW"."""
    return name.removeprefix(prefix).lower()
