"""The pages of the project: their blocks of code, and the commands in their sentences."""

from __future__ import annotations

import re
import shlex
from collections.abc import Container, Iterator
from dataclasses import dataclass

from tests.programs import ROOT

# CHANGELOG.md tells of what was, too.
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in (
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *sorted((ROOT / "docs").glob("*.md")),
        *sorted((ROOT / "docs").glob("*/*.md")),
    )
}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
SETTINGS = re.compile(r"^(?:[A-Z_]+=\S+ )+")
STARTS = re.compile(r"^(?:.* && )?(?:make run|make demo|imageedit serve)\b", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A block of a page; `language` is the word after its fence."""

    page: str
    language: str
    text: str

    @property
    def starts_a_gateway(self) -> bool:
        """Whether it starts a gateway of its own."""
        return self.language == "sh" and STARTS.search(self.text) is not None


def blocks(page: str) -> list[Block]:
    """Return the blocks of a page, from top to bottom."""
    return [Block(page, language, text) for language, text in FENCE.findall(PAGES[page])]


def spoken_commands(page: str, programs: Container[str]) -> Iterator[list[str]]:
    """Yield the words of each command of one of `programs` in a page's sentences."""
    for span in SPAN.findall(FENCE.sub("", PAGES[page])):
        program, space, _ = (command := SETTINGS.sub("", span)).partition(" ")
        if space and program in programs:
            yield shlex.split(command)
