"""A call of an SDK with default settings, the fault that it meets, and what it must come to.

The SDKs differ where the answer's headers arrived and its body did not: Python's repeats the
request, Node's hands the error to its caller.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from PIL import Image

from tests.fault_proxy import Toxic
from tests.pictures import bomb_png, decoded, encoded
from tests.sdk_pictures import MODEL, PHOTO, assert_inverted

Toxics = Callable[[int], Mapping[int, Toxic]]
NO_ANSWER = 0

# Too large for one message to the service: such edits go in chunks.
LARGE = encoded(Image.frombytes("RGB", (700, 700), Random(7).randbytes(700 * 700 * 3)), "PNG")  # noqa: S311


@dataclass(frozen=True)
class Case:
    """A call and its end. `ends` is the status, NO_ANSWER if there is none at last.

    `toxics` returns those of the connections for an answer of so many bytes. `submissions` counts
    all requests to upstreams, of which one at the most may be billed. `cuts_body`: the client has
    the answer's headers before the fault. `begun`: the edit begins before the fault.
    """

    words: str = ""
    toxics: Toxics = lambda _: {}
    ends: int = 200
    requests: int = 1
    submissions: int = 1
    cuts_body: bool = False
    begun: bool = True
    model: str = MODEL
    image: str = "photo.png"
    params: Mapping[str, Any] = field(default_factory=dict)
    gateway: str = "gateway"
    customer: str = "paying"

    @property
    def charges(self) -> int:
        """One for a picture, none for an error; what never arrived was delivered upstream."""
        return int(self.ends in {200, NO_ANSWER})

    @property
    def spoils(self) -> bool:
        """Whether a connection of the client's is touched."""
        return bool(self.toxics(10**6))

    @property
    def replays(self) -> bool:
        """Whether the picture comes with a repeat of the request that began the edit."""
        return self.spoils and self.begun and self.ends == 200 and self.requests > 1


@dataclass(frozen=True)
class Variant:
    """A call that is made three times at once, by a key that may edit so many at a time."""

    case: Case = Case()
    concurrency: int = 100


FILES = {"photo.png": PHOTO, "large.png": LARGE, "bomb.png": bomb_png(), "broken.png": b"GIF89a"}


def assert_edited(case: Case, picture: bytes) -> None:
    """Check that a file is the case's picture, edited as its words say."""
    if case.image == "large.png":
        assert decoded(picture, "RGB").tobytes() == decoded(LARGE, "RGB").tobytes()
    else:
        assert_inverted(picture)


def upstream(words: str, **facts: Any) -> Case:
    """Return a case of directives to the sandbox."""
    return Case(words=f"[sandbox {words}]", **facts)


def first(toxic: Toxic, connections: int = 1) -> Toxics:
    """Spoil the first connections, whatever the answer's length."""
    return lambda _: dict.fromkeys(range(connections), toxic)


def at(place: float, connections: int = 1, **facts: Any) -> Toxics:
    """Spoil the first connections at a part of the answer, 1 being just before its last byte."""
    return lambda length: dict.fromkeys(
        range(connections), Toxic(answer_at=int((length - 1) * place), **facts)
    )
