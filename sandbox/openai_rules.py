"""Which fields and values OpenAI's edits take, by model family (openai-openapi, image guide)."""

from __future__ import annotations

import re
from collections.abc import Mapping

NEWER = ("gpt-image-2",)  # 2, 2.5 and 2.6
_LATEST = ("gpt-image-2.5", "gpt-image-2.6")
MODELS = frozenset(
    {
        "gpt-image-1",
        "gpt-image-1-mini",
        "gpt-image-1.5",
        "gpt-image-1.5-2025-12-16",
        "chatgpt-image-latest",
        "gpt-image-2",
        "gpt-image-2-2026-04-21",
        "gpt-image-2.5-sunburst",
        "gpt-image-2.5-flare",
        "gpt-image-2.5-sunburst-2026-09-08",
        "gpt-image-2.5-flare-2026-09-08",
        "gpt-image-2.6-sunburst",
        "gpt-image-2.6-flare",
    }
)
_ENUMS: Mapping[str, tuple[str, ...]] = {
    "background": ("transparent", "opaque", "auto"),
    "output_format": ("png", "jpeg", "webp"),
    "input_fidelity": ("high", "low"),
    "moderation": ("low", "auto"),
    "stream": ("true", "false"),
}
_INTEGERS: Mapping[str, range] = {
    "n": range(1, 11),
    "output_compression": range(101),
    "partial_images": range(4),
}
_TEXTS = frozenset({"prompt", "model", "size", "quality", "user", "safety_identifier"})
_SIZES = ("1024x1024", "1024x1536", "1536x1024", "auto")
_QUALITIES = ("low", "medium", "high", "auto")


class RuleError(ValueError):
    """A broken rule: OpenAI's wording, its `code` and the `param` at fault."""

    def __init__(self, message: str, code: str, param: str) -> None:
        super().__init__(message)
        self.code = code
        self.param = param


def check(fields: Mapping[str, str]) -> None:
    """Raise `RuleError` for the first rule that the text fields break."""
    for name in fields:
        if name not in _TEXTS and name not in _ENUMS and name not in _INTEGERS:
            raise RuleError(f"Unknown parameter: '{name}'.", "unknown_parameter", name)
    for name in ("prompt", "model"):
        if not fields.get(name):
            message = f"Missing required parameter: '{name}'."
            raise RuleError(message, "missing_required_parameter", name)
    if len(fields["prompt"]) > 32_000:
        message = "Invalid 'prompt': string too long. Expected at most 32000 characters."
        raise RuleError(message, "string_above_max_length", "prompt")
    model = fields["model"]
    if model not in MODELS:
        raise RuleError(f"The model '{model}' does not exist.", "model_not_found", "model")
    for name, values in _ENUMS.items():
        _one_of(fields, name, values)
    for name, span in _INTEGERS.items():
        _one_of(fields, name, tuple(str(number) for number in span))
    more = ("xhigh", "max") if model.startswith(_LATEST) else ()
    _one_of(fields, "quality", (*_QUALITIES, *more))
    if model.startswith(NEWER):
        _free_size(fields.get("size", "auto"))
    else:
        _one_of(fields, "size", _SIZES)
    _combinations(fields, model)


def _one_of(fields: Mapping[str, str], name: str, values: tuple[str, ...]) -> None:
    if name in fields and fields[name] not in values:
        known = f"{', '.join(repr(value) for value in values[:-1])}, and {values[-1]!r}"
        message = f"Invalid value: '{fields[name]}'. Supported values are: {known}."
        raise RuleError(message, "invalid_value", name)


def _free_size(size: str) -> None:
    """Check a size of gpt-image-2 and later."""
    if size == "auto":
        return
    match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", size)
    width, height = (int(match[1]), int(match[2])) if match else (1, 1)
    if width % 16 or height % 16:
        problem = "width and height must be divisible by 16"
    elif max(width, height) > 3840:
        problem = "the longest edge must be at most 3840 pixels"
    elif max(width, height) > 3 * min(width, height):
        problem = "the aspect ratio must be between 1:3 and 3:1"
    elif not 655_360 <= width * height <= 8_294_400:
        problem = "the picture must have 655360 to 8294400 pixels"
    else:
        return
    raise RuleError(f"Invalid size '{size}': {problem}.", "invalid_value", "size")


def _combinations(fields: Mapping[str, str], model: str) -> None:
    """Check what depends on two fields."""
    output_format = fields.get("output_format", "png")
    if fields.get("background") == "transparent" and output_format == "jpeg":
        message = "Transparent background is not supported for JPEG output format."
        raise RuleError(message, "invalid_value", "background")
    if fields.get("output_compression", "100") != "100" and output_format == "png":
        message = "Compression less than 100 is not supported for PNG output format."
        raise RuleError(message, "invalid_value", "output_compression")
    fidelity = fields.get("input_fidelity")
    mini_high = model == "gpt-image-1-mini" and fidelity == "high"
    if fidelity and (mini_high or model.startswith(NEWER)):
        message = f"The model '{model}' does not support the 'input_fidelity' parameter."
        raise RuleError(message, "invalid_input_fidelity_model", "input_fidelity")
    if fields.get("partial_images", "0") != "0" and fields.get("stream") != "true":
        message = "The 'partial_images' parameter needs 'stream' to be true."
        raise RuleError(message, "invalid_value", "partial_images")
