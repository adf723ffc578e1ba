"""What vendors' errors have in common: words, fields, waiting times, and what a log may keep."""

from __future__ import annotations

import re
from collections.abc import Mapping

from server.providers.base import Answer

MAX_DETAIL_CHARACTERS = 1_000
# Enough to say what is wrong, and little enough to search in no time.
_SEARCHED_CHARACTERS = 8_000

_SECRETS = re.compile(
    r"(?<![A-Za-z])sk-\S+"  # also as OpenAI quotes a wrong key, with its middle starred
    r"|sk-[\w*.-]{16,}"  # glued to a word
    r"|\bBearer\s+\S+"
    r"|eyJ[\w.-]{16,}"  # a token's head (RFC 7519)
    r"|[A-Za-z0-9+/=_-]{41,}",  # hex, base64, signatures
    re.IGNORECASE,
)
_POLICY = re.compile(
    r"safety.system|moderation.blocked|(content|request).moderated|content.?policy|content.?filter"
    r"|input was flagged|requires moderation",
    re.IGNORECASE,
)
_GONE_MODEL = re.compile(
    r"\bmodel\b.{0,200}\b(does not exist|not found|disabled|deprecated|retired|shut ?down"
    r"|no longer (available|supported))|not a valid model|no endpoints found for ",
    re.IGNORECASE,
)
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")

# The caller's fields by the vendors' names for them.
_FIELDS = {
    **{name: name for name in ("image", "mask", "prompt", "size", "quality", "background", "user")},
    **{name: name for name in ("output_format", "output_compression", "input_fidelity", "seed")},
    "moderation": "moderation",
    "images": "image",
    "input_image": "image",
    "input_references": "image",
    "aspect_ratio": "size",
    "image_size": "size",
    "resolution": "size",
    "safety_identifier": "user",
}


def detail(status: int, *words: str) -> str:
    """Return `words` for the log, led by the HTTP status.

    One printable line of at most 1,000 characters, without what looks like a key.
    """
    said = " ".join(word[:_SEARCHED_CHARACTERS] for word in words)[:_SEARCHED_CHARACTERS]
    printable = "".join(character if character.isprintable() else " " for character in said)
    clean = _SECRETS.sub("[redacted]", " ".join(printable.split()))
    return f"HTTP {status} {clean}".rstrip()[:MAX_DETAIL_CHARACTERS]


def foreign(answer: Answer) -> str:
    """Return the log's words for an answer that is not in its vendor's shape: no word of it."""
    kind = answer.headers.get("content-type") or "no content type"
    return detail(answer.status, f"{kind}, {len(answer.body)} bytes, not the vendor's error shape")


def speaks_of_policy(words: str) -> bool:
    """Tell whether an error's words refuse the content rather than its form."""
    return _POLICY.search(words, 0, _SEARCHED_CHARACTERS) is not None


def speaks_of_gone_model(words: str) -> bool:
    """Tell whether an error's words say that the vendor does not have the model."""
    return _GONE_MODEL.search(words, 0, _SEARCHED_CHARACTERS) is not None


def caller_field(name: str) -> str | None:
    """Return the caller's field for a vendor's, such as "image" for "image[0]", where there is."""
    stem = re.match(r"[a-z_]*", name)
    return _FIELDS.get(stem.group()) if stem else None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that the headers ask to wait (RFC 9110, 10.2.3, and OpenAI's -ms form).

    A date is not read: it needs a clock.
    """
    for name, unit in (("retry-after-ms", 1_000), ("retry-after", 1)):
        value = headers.get(name, "").strip()
        if _SECONDS.fullmatch(value):
            return float(value) / unit
    return None
