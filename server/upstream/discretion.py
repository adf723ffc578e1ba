"""Keeps a caller's prompt out of the log, where a vendor quotes it in an error."""

from __future__ import annotations

SHORTEST_QUOTE = 8
HIDDEN = "…[quotes the prompt]"


def without_quotes(detail: str, prompt: str) -> str:
    """Return a vendor's words up to where they quote `prompt`: 8 characters of it, or all."""
    length = min(SHORTEST_QUOTE, len(prompt))
    if length == 0:
        return detail
    for start in range(len(detail) - length + 1):
        if detail[start : start + length] in prompt:
            return detail[:start] + HIDDEN
    return detail
