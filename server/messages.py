"""Messages to domain and back: the only place that knows both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time

from google.protobuf.timestamp_pb2 import Timestamp

from imageedit.v1 import image_edit_pb2 as pb
from server.catalog import Model, Route
from server.domain import (
    EditError,
    EditRequest,
    EditResult,
    MaskConvention,
    MaskFidelity,
    OutputFormat,
    Picture,
    Situation,
)
from server.spool import File
from server.translation import supported_parameters


def _word(message: pb.EditImageRequest | pb.EstimateCostRequest, field: str) -> str | None:
    """Return an enum field as the contract writes it, such as "high"; `None` when unspecified.

    Raises `EditError` (BAD_REQUEST) for a number that the enum does not have.
    """
    number = getattr(message, field)
    if number == 0:
        return None
    enum = message.DESCRIPTOR.fields_by_name[field].enum_type
    values = enum.values_by_number if enum else {}
    if number not in values:
        raise EditError(
            Situation.BAD_REQUEST, f"{field} has the unknown value {number}.", field=field
        )
    prefix = values[0].name.removesuffix("UNSPECIFIED")
    return values[number].name.removeprefix(prefix).lower()


def edit_request(
    message: pb.EditImageRequest, images: Sequence[File], mask: File | None
) -> EditRequest:
    """Return the edit that `message` asks for, with the pictures' files beside it."""
    return EditRequest(
        model=message.model,
        prompt=message.prompt,
        images=tuple(images),
        mask=mask,
        mask_convention=MaskConvention(_word(message, "mask_convention") or "opaque"),
        mask_fidelity=MaskFidelity(_word(message, "mask_fidelity") or "exact"),
        size=message.size if message.HasField("size") else None,
        quality=_word(message, "quality"),
        background=_word(message, "background"),
        output_format=OutputFormat(_word(message, "output_format") or "png"),
        output_compression=(
            message.output_compression if message.HasField("output_compression") else None
        ),
        input_fidelity=_word(message, "input_fidelity"),
        moderation=_word(message, "moderation"),
        seed=message.seed if message.HasField("seed") else None,
        user=message.user,
        partial_images=message.partial_images,
    )


def estimate(message: pb.EstimateCostRequest) -> EditRequest:
    """Return the edit whose cost is asked for: with empty pictures, as many as there will be."""
    return EditRequest(
        model=message.model,
        prompt=message.prompt,
        images=(b"",) * (message.image_count or 1),
        mask=b"" if message.masked else None,
        size=message.size if message.HasField("size") else None,
        quality=_word(message, "quality"),
    )


def edit_response(result: EditResult, *, with_picture: bool) -> pb.EditImageResponse:
    """Return the answer for `result`; without the picture's bytes where chunks carry them."""
    picture = result.picture
    message = pb.EditImageResponse(
        create_time=timestamp(result.created),
        edit_id=result.id,
        model=result.model,
        image=pb.Image(mime_type=picture.mime_type, data=picture.data if with_picture else b""),
        width=picture.width,
        height=picture.height,
        output_format=_output_format(picture),
        quality=_quality(result.quality),
        background=_background(result.transparent),
        usage=pb.Usage(
            input_tokens=result.tokens.input,
            input_text_tokens=min(result.tokens.input_text, result.tokens.input),
            # What an upstream does not call text is priced, and so told, as pictures.
            input_image_tokens=max(0, result.tokens.input - result.tokens.input_text),
            output_tokens=result.tokens.output,
            cost_nanos=result.cost_nanos,
        ),
        ignored_parameters=result.ignored_parameters,
    )
    report = result.mask_report
    if report is not None:
        message.mask_report.method = pb.MaskMethod.Value(f"MASK_METHOD_{report.method.upper()}")
        message.mask_report.unaligned = report.unaligned
        message.mask_report.drift = report.drift
    return message


def chunks(data: bytes, piece_bytes: int) -> Iterator[pb.ImageChunk]:
    """Yield a picture's file in pieces of at most `piece_bytes`."""
    for start in range(0, len(data), piece_bytes):
        yield pb.ImageChunk(data=data[start : start + piece_bytes])


def partial_image(
    index: int, picture: Picture, transparent: bool, piece_bytes: int
) -> Iterator[pb.PartialImage]:
    """Yield the pieces of a partial picture, each of at most `piece_bytes`."""
    data = picture.data
    for start in range(0, len(data), piece_bytes):
        yield pb.PartialImage(
            index=index,
            mime_type=picture.mime_type,
            data=data[start : start + piece_bytes],
            complete=start + piece_bytes >= len(data),
            width=picture.width,
            height=picture.height,
            background=_background(transparent),
        )


def model_message(model: Model, routes: tuple[Route, ...]) -> pb.Model:
    """Return what callers see of a model; never a provider or an upstream's name."""
    return pb.Model(
        id=model.alias,
        create_time=timestamp(_midnight(model.created)),
        owned_by=model.brand,
        name=model.name,
        description=model.description,
        input_modalities=["text", "image"] if model.features else ["text"],
        output_modalities=["image"],
        features=model.features,
        pricing=model.pricing,
        supported_parameters=supported_parameters(model, routes),
        expiration_date=model.expiration.isoformat() if model.expiration else "",
        max_input_images=max(
            (route.max_images for route in routes if route.masked is not True), default=1
        ),
    )


def _background(transparent: bool) -> pb.Background.ValueType:
    return pb.BACKGROUND_TRANSPARENT if transparent else pb.BACKGROUND_OPAQUE


def _quality(word: str) -> pb.Quality.ValueType:
    """Return an upstream's word for its effort, "auto" where it is none of ours."""
    number = dict(pb.Quality.items()).get(f"QUALITY_{word.upper()}", pb.QUALITY_AUTO)
    return number or pb.QUALITY_AUTO


def _midnight(day: date) -> int:
    """Return the day's beginning in UTC as Unix milliseconds."""
    return int(datetime.combine(day, time(), tzinfo=UTC).timestamp()) * 1000


def timestamp(milliseconds: int) -> Timestamp:
    """Return Unix milliseconds as a message."""
    stamp = Timestamp()
    stamp.FromMilliseconds(milliseconds)
    return stamp


def _output_format(picture: Picture) -> pb.OutputFormat.ValueType:
    word = picture.mime_type.removeprefix("image/").upper()
    return pb.OutputFormat.Value(f"OUTPUT_FORMAT_{word}")
