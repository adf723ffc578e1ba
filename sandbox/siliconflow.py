"""SiliconFlow's `POST /v1/images/generations` for models that edit, JSON.

Sources: SiliconFlow's API reference (fields by model, errors), its openapi.yaml, and notes of its
users on statuses. Pictures are given as URLs on this server.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from sandbox import pictures, sizes
from sandbox.results import Results
from sandbox.wire import Order, Refusal, Reply, Request, Submission

RATIOS = ("21:9", "16:9", "4:3", "3:2", "1:1", "2:3", "3:4", "9:16", "9:21")
Rule = Callable[[Any], bool]


def _whole(least: int, most: int) -> Rule:
    return lambda value: type(value) is int and least <= value <= most


def _number(least: float, most: float) -> Rule:
    return lambda value: type(value) in {int, float} and least <= value <= most


def _one_of(*values: str) -> Rule:
    return lambda value: value in values


def _text(value: object) -> bool:
    return isinstance(value, str)


def _flag(value: object) -> bool:
    return isinstance(value, bool)


_KONTEXT: Mapping[str, Rule] = {
    "seed": _whole(0, 9_999_999_999),
    "aspect_ratio": _one_of(*RATIOS),
    "output_format": _one_of("png", "jpeg"),
    "prompt_upsampling": _flag,
    "safety_tolerance": _whole(0, 2),  # 6 is for text alone
}
_QWEN: Mapping[str, Rule] = {
    "negative_prompt": _text,
    "seed": _whole(0, 9_999_999_999),
    "num_inference_steps": _whole(1, 100),
    "guidance_scale": _number(0, 20),
    "cfg": _number(0.1, 20),
}
_DEV: Mapping[str, Rule] = {"seed": _whole(0, 9_999_999_999), "prompt_enhancement": _flag}
# A model's picture fields, the first of them required, and its other fields.
MODELS: Mapping[str, tuple[tuple[str, ...], Mapping[str, Rule]]] = {
    "black-forest-labs/FLUX.1-Kontext-pro": (("input_image",), _KONTEXT),
    "black-forest-labs/FLUX.1-Kontext-max": (("input_image",), _KONTEXT),
    "black-forest-labs/FLUX.1-Kontext-dev": (("image",), _DEV),
    "Qwen/Qwen-Image-Edit": (("image",), _QWEN),
    "Qwen/Qwen-Image-Edit-2509": (("image", "image2", "image3"), _QWEN),
}
_PICTURES = frozenset({"input_image", "image", "image2", "image3"})
_GONE = "Model does not exist. Please check it carefully."


def error(status: int, code: int, message: str, **headers: str) -> Reply:
    """Return an error in the most usual of SiliconFlow's shapes."""
    body = {"code": code, "message": message, "data": None}
    return Reply.of(status, body, x_siliconcloud_trace_id=f"ti_{secrets.token_hex(8)}", **headers)


class SiliconFlow:
    """The images endpoint; `results` keeps what it made. A key beginning "wrong" is refused."""

    name = "siliconflow"
    endpoint = "/siliconflow/v1/images/generations"

    def __init__(self, results: Results) -> None:
        self._results = results

    def parse(self, request: Request) -> Submission:
        """Return the document; data URLs become uploads under their field's name."""
        if not request.key or request.key.startswith("wrong"):
            raise Refusal(_failures()["error401"])
        try:
            document = json.loads(request.body)
        except ValueError:
            document = None
        if not isinstance(document, dict) or "application/json" not in request.headers.get(
            "content-type", ""
        ):
            raise Refusal(error(400, 20012, "The request body must be a JSON object."))
        uploads = []
        for name in sorted(_PICTURES & document.keys()):
            try:
                uploads.append(pictures.from_data_url(name, document.pop(name)))
            except ValueError as problem:
                raise Refusal(error(400, 20012, f"{name}: {problem}")) from None
        return Submission(document, tuple(uploads))

    def check(self, submission: Submission, prompt: str) -> Order:
        """Return the order after the checks of the model's own field table."""
        fields = dict(submission.fields)
        model = str(fields.pop("model", ""))
        if model not in MODELS:
            raise Refusal(error(400, 20012, _GONE))
        slots, rules = MODELS[model]
        given = fields.pop("prompt", None)
        if not isinstance(given, str) or not given:
            raise Refusal(error(400, 20012, "prompt: Field required"))
        for name, value in fields.items():
            if name not in rules:
                raise Refusal(error(400, 20012, f"{name}: Extra inputs are not permitted"))
            if not rules[name](value):
                raise Refusal(error(400, 20012, f"{name}: Input should be a valid value"))
        names = tuple(upload.name for upload in submission.uploads)
        if names != slots[: len(names)] or not names:
            raise Refusal(error(400, 20012, f"{', '.join(slots)}: takes these, in this order"))
        images = []
        for upload in submission.uploads:
            try:
                images.append(pictures.opened(upload))
            except ValueError as problem:
                raise Refusal(error(400, 20012, f"{upload.name}: {problem}")) from None
        width, height = images[0].size
        if "aspect_ratio" in fields:
            width, height = (int(side) for side in str(fields["aspect_ratio"]).split(":"))
        return Order(
            model=model,
            prompt=prompt,
            images=tuple(images),
            source=submission.uploads[0].data,
            size=sizes.megapixel(width, height),
            output_format=str(fields.get("output_format", "png")).upper(),
            compression=90,
            seed=int(str(fields.get("seed", secrets.randbelow(10**10)))),
        )

    def deliver(self, request: Request, order: Order, pictures: list[bytes]) -> Reply:
        """Return the result's URL on this server; nothing is said about tokens."""
        extension = order.output_format.lower()
        urls = [
            self.link(request, Reply(200, file, f"image/{extension}"), extension)
            for file in pictures
        ]
        return self.linked(urls, order.seed)

    def link(self, request: Request, reply: Reply, extension: str = "png") -> str:
        """Keep `reply` for download and return its URL, on the host that `request` came to."""
        return f"http://{request.headers['host']}{self._results.keep(reply, extension)}"

    def linked(self, urls: list[str], seed: int) -> Reply:
        """Return the answer that names `urls`."""
        body = {
            "images": [{"url": url} for url in urls],
            "timings": {"inference": 8.4},
            "seed": seed,
        }
        return Reply.of(200, body, x_siliconcloud_trace_id=f"ti_{secrets.token_hex(8)}")

    def fail(self, fault: str) -> Reply | None:
        """Return SiliconFlow's answer for a fault."""
        return _failures().get(fault)

    def refuse(self, message: str, status: int = 400) -> Reply:
        """Return a plain error; an unknown route is a JSON string."""
        return (
            Reply.of(404, "404 page not found") if status == 404 else error(status, 20012, message)
        )


def _failures() -> Mapping[str, Reply]:
    limited = {
        "message": "Request was rejected due to rate limiting. Details: IPM limit",
        "data": "",
    }
    return {
        "error400": error(400, 20012, "Invalid parameter: sandbox"),
        "moderation": error(451, 20054, "The content was refused by the safety system."),
        "error401": Reply.of(401, "Invalid token"),
        "quota": error(403, 30001, "Sorry, your account balance is insufficient"),
        "error429": Reply.of(429, limited, retry_after="7"),
        "error500": error(500, 50500, "Unknown error"),
        "error503": error(503, 50505, "Model service overloaded. Please try again later."),
        "gone": error(400, 20012, _GONE),
        "bare_string": Reply.of(504, "Gateway timeout of the model service"),
    }
