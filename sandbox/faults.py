"""Faults and delays that a prompt asks for: `[sandbox delay=2 fault=reset]`.

Directives stand in the prompt, in one or more square brackets that begin with `sandbox`, and are
taken out before the prompt is used. They are honoured nowhere else, need no set-up and keep no
state, so requests in parallel do not disturb each other. They act only once the vendor's own
checks have passed: a malformed request is refused, whatever it asks for.

A bracket holds words `NAME` or `NAME=NUMBER`; a leading `fault=` may be written or left out, so
`fault=cut=100`, `fault=cut cut=100` and `cut=100` are the same. `FAULTS` lists the names. Two more
words say when the bracket counts at all: `at=VENDOR` (openai, openrouter, siliconflow) at one
vendor only, `first=N` only for the first N requests with this very prompt at that vendor, as far
as the list of calls still knows them. An unknown word is refused, so that no
test asks in vain.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

_BRACKET = re.compile(r"\s*\[sandbox\b([^\]]*)\]\s*")


class Stage(Enum):
    """Where a fault acts."""

    TIME = "before the answer"
    SOCKET = "in how the answer is sent"
    ANSWER = "in place of the answer"
    PICTURE = "in the picture"
    LINK = "in the address of the result (SiliconFlow)"


@dataclass(frozen=True, slots=True)
class Fault:
    """A row of the table; `number` is the default where the name takes a number."""

    stage: Stage
    text: str
    number: float | None = None


FAULTS: Mapping[str, Fault] = {
    "delay": Fault(Stage.TIME, "wait so many seconds before anything else", 1.0),
    "gap": Fault(Stage.TIME, "wait so many seconds between two events of a stream", 0.2),
    "late": Fault(
        Stage.TIME, "in a stream: an error in place of the answer comes as its last event"
    ),
    "silent": Fault(Stage.SOCKET, "read the request, never answer"),
    "drip_headers": Fault(Stage.SOCKET, "send a header line so many times a second, for ever", 10),
    "drip_body": Fault(Stage.SOCKET, "send so many bytes of the body a second", 10),
    "reset": Fault(Stage.SOCKET, "reset the connection (RST) after the request was read"),
    "close": Fault(Stage.SOCKET, "close the connection without an answer"),
    "cut": Fault(Stage.SOCKET, "close the connection after so many bytes of the body", 100),
    "hugebody": Fault(Stage.SOCKET, "send a JSON document of so many megabytes", 1024),
    "html502": Fault(Stage.ANSWER, "a proxy's HTML page with status 502"),
    "html504": Fault(Stage.ANSWER, "a proxy's HTML page with status 504"),
    "error400": Fault(Stage.ANSWER, "the vendor's refusal of a parameter"),
    "moderation": Fault(Stage.ANSWER, "the vendor's refusal of the content"),
    "error401": Fault(Stage.ANSWER, "the vendor does not know the key"),
    "quota": Fault(Stage.ANSWER, "the account has no money left"),
    "error429": Fault(Stage.ANSWER, "the vendor's rate limit, with Retry-After: 7"),
    "error500": Fault(Stage.ANSWER, "the vendor's own error"),
    "error503": Fault(Stage.ANSWER, "the vendor is overloaded"),
    "gone": Fault(Stage.ANSWER, "the vendor does not have the model any more"),
    "garbage": Fault(Stage.ANSWER, "200 with a body that is not JSON"),
    "error_in_200": Fault(Stage.ANSWER, "200 with an error inside (OpenRouter)"),
    "bare_string": Fault(Stage.ANSWER, "an error that is a JSON string (SiliconFlow)"),
    "empty": Fault(Stage.PICTURE, "200 without a picture"),
    "badpicture": Fault(Stage.PICTURE, "200 with bytes that are no picture"),
    "jpeg": Fault(Stage.PICTURE, "JPEG, whatever was asked for"),
    "square": Fault(Stage.PICTURE, "1024x1024, whatever was asked for"),
    "size": Fault(Stage.PICTURE, "so many per cent of the width and height asked for", 50),
    "redrawn": Fault(Stage.PICTURE, "the whole picture redrawn, as if there were no mask"),
    "soft": Fault(Stage.PICTURE, "edges of the mask so many pixels soft", 24),
    "mirror": Fault(Stage.PICTURE, "the content mirrored, left and right"),
    "opaque": Fault(Stage.PICTURE, "no transparency, whatever was asked for"),
    "noise": Fault(Stage.PICTURE, "every pixel changed strongly"),
    "shift": Fault(Stage.PICTURE, "the content moved so many pixels right and down", 8),
    "scale": Fault(Stage.PICTURE, "the content enlarged about the centre", 1.1),
    "unchanged": Fault(Stage.PICTURE, "no edit at all, but the size and type that were asked for"),
    "echo": Fault(Stage.PICTURE, "the first picture's file as it came, which takes no time"),
    "redirect_url": Fault(Stage.LINK, "the result redirects to a metadata service"),
    "private_url": Fault(Stage.LINK, "the result is said to be at a private address"),
    "wronghost_url": Fault(Stage.LINK, "the result is said to be at a stranger's host"),
    "notfound_url": Fault(Stage.LINK, "the result is not there"),
    "slow_url": Fault(Stage.LINK, "the result comes at so many bytes a second", 10),
    "huge_url": Fault(Stage.LINK, "the result has so many megabytes", 1024),
}


class DirectiveError(ValueError):
    """A directive that the table does not know; the text names it."""


@dataclass(frozen=True, slots=True)
class Directives:
    """What a prompt asks for: numbers by the fault's name, 0 for faults that take none."""

    numbers: Mapping[str, float]

    def __contains__(self, name: str) -> bool:
        return name in self.numbers

    def get(self, name: str) -> float:
        """Return the number of `name`, 0 if it was not asked for."""
        return self.numbers.get(name, 0.0)

    def at(self, stage: Stage) -> str:
        """Return the first name of `stage`, or ""."""
        return next((name for name in self.numbers if FAULTS[name].stage is stage), "")


def read(prompt: str, vendor: str, earlier: Callable[[], int]) -> tuple[str, Directives]:
    """Return the prompt without its directives, and those that count at `vendor`.

    `earlier` tells how many requests with this prompt the vendor had before. Raises
    `DirectiveError`.
    """
    numbers: dict[str, float] = {}
    for bracket in _BRACKET.findall(prompt):
        words = dict(_word(word) for word in bracket.split())
        place, first = words.pop("at", vendor), words.pop("first", "")
        known = {name: _number(name, value) for name, value in words.items()}
        if place == vendor and (not first or earlier() < float(first)):
            numbers.update(known)
    return _BRACKET.sub(" ", prompt).strip(), Directives(numbers)


def _word(word: str) -> tuple[str, str]:
    name, _, value = word.removeprefix("fault=").partition("=")
    return name, value


def _number(name: str, value: str) -> float:
    fault = FAULTS.get(name)
    if fault is None or (value and fault.number is None):
        raise DirectiveError(f"the sandbox knows no fault '{name}{'=' if value else ''}{value}'")
    try:
        return float(value) if value else fault.number or 0.0
    except ValueError:
        raise DirectiveError(f"the sandbox needs a number in '{name}={value}'") from None
