"""The sample pictures: those of the checkout, or the same ones rendered anew."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).parent.parent / "docs" / "samples"
RENDERED = Path("var") / "samples"
PROMPT = "turn the sky into a watercolor sunset"


@dataclass(frozen=True, slots=True)
class Sample:
    """A picture and its mask on disk."""

    image: Path
    mask: Path


def sample() -> Sample:
    """Return the landscape with its sky as mask, rendering it where the checkout is not there."""
    folder = CHECKOUT
    if not (folder / "landscape.png").is_file():
        folder = RENDERED
        folder.mkdir(parents=True, exist_ok=True)
        # In a process of its own: rendering is the sandbox's business.
        subprocess.run(  # noqa: S603 -- our own module
            [sys.executable, "-m", "sandbox.samples", str(folder)], check=True
        )
    return Sample((folder / "landscape.png").resolve(), (folder / "landscape-mask.png").resolve())
