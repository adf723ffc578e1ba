"""OpenAI's `POST /v1/images/edits`, multipart form.

Sources: openai-openapi `CreateImageEditRequest` and `ImagesResponse`, OpenAI's image guide, and the
errors that the public API answers.
"""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Mapping

from PIL import Image

from sandbox import events, multipart, openai_errors, openai_rules, pictures, sizes
from sandbox.openai_errors import error
from sandbox.wire import Order, Refusal, Reply, Request, Submission, Upload

_FILES = frozenset({"image", "image[]", "mask"})


class OpenAI:
    """The images API as gpt-image models offer it. A key that begins with "wrong" is refused."""

    name = "openai"
    endpoint = "/openai/v1/images/edits"

    def parse(self, request: Request) -> Submission:
        """Return the form's fields and files."""
        if not request.key:
            raise Refusal(error(401, openai_errors.NO_KEY))
        if request.key.startswith("wrong"):
            raise Refusal(openai_errors.failures()["error401"])
        try:
            parts = multipart.parse(request.body, request.headers.get("content-type", ""))
        except multipart.MultipartError as problem:
            raise Refusal(error(400, f"Could not parse multipart form: {problem}")) from None
        fields: dict[str, object] = {}
        uploads: list[Upload] = []
        for part in parts:
            if part.filename is not None and part.name in _FILES:
                uploads.append(Upload(part.name, part.content_type or "", part.data))
            elif part.filename is not None or part.name in _FILES:
                message = f"Invalid type for '{part.name}'."
                raise Refusal(error(400, message, "invalid_type", part.name))
            elif part.name in fields:
                raise Refusal(openai_errors.duplicate(part.name))
            else:
                fields[part.name] = part.data.decode(errors="replace")
        return Submission(fields, tuple(uploads))

    def check(self, submission: Submission, prompt: str) -> Order:
        """Return the order after OpenAI's checks: fields, model, values, pictures, mask."""
        fields = {name: str(value) for name, value in submission.fields.items()}
        try:
            openai_rules.check(fields)
        except openai_rules.RuleError as broken:
            status = 404 if broken.code == "model_not_found" else 400
            raise Refusal(error(status, str(broken), broken.code, broken.param)) from None
        uploads = [upload for upload in submission.uploads if upload.name != "mask"]
        images = _images(uploads)
        masks = [upload for upload in submission.uploads if upload.name == "mask"]
        if len(masks) > 1:
            raise Refusal(openai_errors.duplicate("mask"))
        size, quality = fields.get("size", "auto"), fields.get("quality", "auto")
        width, _, height = size.partition("x")
        auto = sizes.nearest(images[0].size, sizes.STANDARD)
        streamed = fields.get("stream") == "true"
        return Order(
            model=fields["model"],
            prompt=prompt,
            images=images,
            source=uploads[0].data,
            size=auto if size == "auto" else (int(width), int(height)),
            mask=_mask(masks[0], images[0]) if masks else None,
            output_format=fields.get("output_format", "png").upper(),
            compression=int(fields.get("output_compression", "100")),
            quality="medium" if quality == "auto" else quality,
            background=fields.get("background", "auto").replace("auto", "opaque"),
            count=int(fields.get("n", "1")),
            partial_images=int(fields.get("partial_images", "0")) if streamed else None,
        )

    def deliver(self, request: Request, order: Order, pictures: list[bytes]) -> Reply:
        """Return `ImagesResponse`, or the events of a stream."""
        facts = {
            "background": order.background,
            "output_format": order.output_format.lower(),
            "quality": order.quality,
            "size": f"{order.size[0]}x{order.size[1]}",
        }
        usage = _usage(order)
        if order.partial_images is not None:
            return events.stream("image_edit", order, pictures, facts, usage)
        data = [{"b64_json": base64.b64encode(file).decode()} for file in pictures]
        body = {"created": int(time.time()), "data": data, **facts, "usage": usage}
        return Reply.of(200, body, x_request_id=f"req_{secrets.token_hex(16)}")

    def fail(self, fault: str) -> Reply | None:
        """Return OpenAI's answer for a fault."""
        return openai_errors.failures().get(fault)

    def refuse(self, message: str, status: int = 400) -> Reply:
        """Return a plain error."""
        return error(status, message)


def _images(uploads: list[Upload]) -> tuple[Image.Image, ...]:
    if not uploads:
        message = "Missing required parameter: 'image'."
        raise Refusal(error(400, message, "missing_required_parameter", "image"))
    if len({upload.name for upload in uploads}) > 1 or [u.name for u in uploads].count("image") > 1:
        raise Refusal(openai_errors.duplicate("image"))
    if len(uploads) > 16:
        message = f"Invalid 'image': array too long. Expected at most 16, got {len(uploads)}."
        raise Refusal(error(400, message, "array_above_max_length", "image"))
    images = []
    for place, upload in enumerate(uploads):
        if upload.content_type not in pictures.TYPES:
            message = (
                f"Invalid file 'image[{place}]': unsupported mimetype ('{upload.content_type}'). "
                "Supported file formats are 'image/jpeg', 'image/png', and 'image/webp'."
            )
            code = "unsupported_file_mimetype"
            raise Refusal(error(400, message, code, f"image[{place}]"))
        try:
            images.append(pictures.opened(upload, most_bytes=50_000_000))
        except ValueError:
            message = (
                f"Invalid image file or mode for image {place + 1}, please check your image file."
            )
            raise Refusal(error(400, message, "invalid_image_file", "image")) from None
    return tuple(images)


def _mask(upload: Upload, image: Image.Image) -> Image.Image:
    """Return where the edit goes: OpenAI edits where the mask is transparent."""
    problem = ""
    try:
        mask = pictures.opened(Upload("mask", "image/png", upload.data))
    except ValueError:
        raise Refusal(openai_errors.bad_mask("mask must be a valid PNG")) from None
    if len(upload.data) >= 4_000_000:
        problem = "mask must be smaller than 4 MB"
    elif mask.size != image.size or mask.mode == "L":  # the vendor calls a gray mask missized too
        problem = "mask size does not match image size"
    elif mask.mode not in {"LA", "RGBA"}:
        problem = "mask image missing alpha channel"
    if problem:
        raise Refusal(openai_errors.bad_mask(problem))
    return mask.getchannel("A").point([255 if value == 0 else 0 for value in range(256)])


def _usage(order: Order) -> Mapping[str, object]:
    text, image = sizes.text_tokens(order.prompt), sizes.image_tokens(order.images)
    newer = order.model.startswith(openai_rules.NEWER)
    output = order.count * sizes.output_tokens(order.size, order.quality, newer)
    output += 100 * (order.partial_images or 0)
    return {
        "total_tokens": text + image + output,
        "input_tokens": text + image,
        "output_tokens": output,
        "input_tokens_details": {"text_tokens": text, "image_tokens": image},
        "output_tokens_details": {"image_tokens": output, "text_tokens": 0},
    }
