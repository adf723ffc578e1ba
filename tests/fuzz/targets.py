"""A fuzz target, and where its files are."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

PACKAGES = {
    "multipart": ("gateway_http", "werkzeug"),
    "picture": ("server", "PIL"),
    "answers": ("server",),
    "values": ("gateway_http",),
    "urls": ("server", "urllib3"),
}
"""The targets, each with the packages whose branches guide the search."""

FOUND = Path(__file__).parent / "found"
"""A folder a target, with what once failed: kept small, and tried again by every test run."""


class Target(Protocol):
    """A module of this folder; it may have a `mend` too, which repairs what a mutation broke.

    `SEEDS` are what to begin with, `WORDS` what mutations put in, `MAX_LENGTH` is in bytes.
    """

    SEEDS: tuple[bytes, ...]
    WORDS: tuple[bytes, ...]
    MAX_LENGTH: int

    def check(self, data: bytes) -> None:
        """Return for everything that is expected, and raise for everything that is not."""


def target(name: str) -> Target:
    """Import and return the target `name`."""
    return cast("Target", import_module(f"tests.fuzz.{name}"))


def found(name: str) -> list[bytes]:
    """Return what once failed."""
    folder = FOUND / name
    return [path.read_bytes() for path in sorted(folder.glob("*"))] if folder.exists() else []
