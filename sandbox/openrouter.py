"""OpenRouter's `POST /api/v1/images` for `openai/gpt-image-2`, JSON.

Sources: OpenRouterTeam/docs and /typescript-sdk, and the model's endpoint descriptor: fields that
it does not list are refused, numbers must be JSON numbers.
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Mapping

from PIL import Image

from sandbox import events, pictures, sizes
from sandbox.openrouter_errors import error, failures, zod
from sandbox.wire import Order, Refusal, Reply, Request, Submission, Upload

MODEL = "openai/gpt-image-2"
PARTIAL_IMAGES = 2
"""In a stream; the endpoint takes no number."""
SIZES: Mapping[str, tuple[int, int]] = {
    "1:1": (1024, 1024),
    "3:2": (1536, 1024),
    "2:3": (1024, 1536),
    "4:3": (1344, 1008),
    "3:4": (1008, 1344),
    "16:9": (1536, 864),
    "9:16": (864, 1536),
    "21:9": (1680, 720),
}
_ENUMS: Mapping[str, tuple[str, ...]] = {
    "aspect_ratio": (*SIZES, "auto"),
    "quality": ("auto", "low", "medium", "high"),
    "background": ("auto", "opaque"),
}
_NUMBERS = {"n": (1, 10), "output_compression": (0, 100)}
_TYPES: Mapping[str, type] = {
    **dict.fromkeys(("model", "prompt", *_ENUMS), str),
    **dict.fromkeys(_NUMBERS, int),
    "stream": bool,
    "input_references": list,
}
# A prompt that explains the mask: what it says about pictures is not what the user wants painted.
_ABOUT_MASK = re.compile(
    r"[^.\n:;]*\b(?:masks?|(?:image|picture) \d|(?:first|second|last|other) (?:image|picture)"
    r"|white (?:area|region|part|pixels|marks))\b[^.\n:;]*[.\n:;]?",
    re.IGNORECASE,
)


class OpenRouter:
    """The image endpoint with one model. A key that begins with "wrong" is refused."""

    name = "openrouter"
    endpoint = "/openrouter/api/v1/images"

    def parse(self, request: Request) -> Submission:
        """Return the document; data URLs among the references become uploads."""
        if not request.key or request.key.startswith("wrong"):
            raise Refusal(failures()["error401"])
        if not request.headers.get("content-type", "").startswith("application/json"):
            raise Refusal(error(400, "Expected content type application/json"))
        try:
            document = json.loads(request.body)
        except ValueError:
            raise Refusal(error(400, "Invalid JSON body")) from None
        if not isinstance(document, dict):
            raise Refusal(zod("object", [], document))
        references = document.pop("input_references", [])
        if not isinstance(references, list):
            raise Refusal(zod("array", ["input_references"], references))
        return Submission(
            document, tuple(_reference(place, entry) for place, entry in enumerate(references))
        )

    def check(self, submission: Submission, prompt: str) -> Order:
        """Return the order after the descriptor's checks."""
        fields = dict(submission.fields)
        for name in ("model", "prompt"):
            fields.setdefault(name, None)
        for name, value in fields.items():
            kind = _TYPES.get(name)
            if kind is None:
                message = f"Parameter '{name}' is not supported by any endpoint of {MODEL}"
                raise Refusal(error(400, message))
            if type(value) is not kind:
                raise Refusal(
                    zod({int: "number", bool: "boolean"}.get(kind, "string"), [name], value)
                )
        if fields["model"] != MODEL:
            raise Refusal(error(404, f"No endpoints found for {fields['model']}."))
        for name, values in _ENUMS.items():
            if fields.get(name, values[0]) not in values:
                raise Refusal(
                    error(400, f"Invalid value for '{name}': expected {', '.join(values)}")
                )
        for name, (least, most) in _NUMBERS.items():
            value = fields.get(name, least)
            if not isinstance(value, int) or not least <= value <= most:
                raise Refusal(error(400, f"Invalid value for '{name}': expected {least} to {most}"))
        images = _images(submission.uploads)
        mask = None
        if (
            len(images) > 1
            and re.search(r"\bmask\b", prompt, re.IGNORECASE)
            and re.search(r"\bwhite\b", prompt, re.IGNORECASE)
        ):
            *sources, last = images
            images = tuple(sources)
            mask = last.convert("L").point([255 if value >= 128 else 0 for value in range(256)])
            prompt = _ABOUT_MASK.sub(" ", prompt).strip()
        ratio = str(fields.get("aspect_ratio", "auto"))
        return Order(
            model=MODEL,
            prompt=prompt,
            images=images,
            source=submission.uploads[0].data,
            size=SIZES.get(ratio) or sizes.nearest(images[0].size, SIZES.values()),
            mask=mask,
            quality=str(fields.get("quality", "auto")).replace("auto", "medium"),
            count=int(str(fields.get("n", 1))),
            partial_images=PARTIAL_IMAGES if fields.get("stream") else None,
        )

    def deliver(self, request: Request, order: Order, pictures: list[bytes]) -> Reply:
        """Return the pictures as PNG with usage and cost, or the events of a stream."""
        usage = _usage(order)
        if order.partial_images is not None:
            stream = events.stream("image_generation", order, pictures, {}, usage)
            return events.commented(stream, "OPENROUTER PROCESSING")
        data = [
            {"b64_json": base64.b64encode(file).decode(), "media_type": "image/png"}
            for file in pictures
        ]
        return Reply.of(200, {"created": int(time.time()), "data": data, "usage": usage})

    def fail(self, fault: str) -> Reply | None:
        """Return OpenRouter's answer for a fault."""
        return failures().get(fault)

    def refuse(self, message: str, status: int = 400) -> Reply:
        """Return a plain error."""
        return error(status, message)


def _reference(place: int, entry: object) -> Upload:
    """Return the file of one input reference."""
    where = f"input_references[{place}]"
    match entry:
        case {"type": "image_url", "image_url": {"url": str() as url, **inner}, **outer} if not (
            inner or set(outer)
        ):
            try:
                return pictures.from_data_url(where, url)
            except ValueError as problem:
                raise Refusal(error(400, f"{where}: {problem}")) from None
        case _:
            raise Refusal(zod("image_url", ["input_references", place], entry))


def _images(uploads: tuple[Upload, ...]) -> tuple[Image.Image, ...]:
    if not 1 <= len(uploads) <= 16:
        raise Refusal(error(400, "input_references: this simulator edits 1 to 16 pictures"))
    images = []
    for upload in uploads:
        try:
            images.append(pictures.opened(upload))
        except ValueError as problem:
            metadata = {"error_type": "invalid_image", "provider_name": "OpenAI"}
            raise Refusal(error(400, f"{upload.name}: {problem}", metadata)) from None
    return tuple(images)


def _usage(order: Order) -> Mapping[str, object]:
    """Return token counts and their price: 5, 8 and 30 dollars a million."""
    text = sizes.text_tokens(order.prompt)
    masks = [] if order.mask is None else [order.mask]
    image = sizes.image_tokens([*order.images, *masks])
    picture = order.count * sizes.output_tokens(order.size, order.quality, newer=True)
    output = picture + 82
    return {
        "prompt_tokens": text + image,
        "completion_tokens": output,
        "total_tokens": text + image + output,
        "cost": round((5 * text + 8 * image + 30 * output) / 1e6, 6),
        "is_byok": False,
        "completion_tokens_details": {"image_tokens": picture},
    }
