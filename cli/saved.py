"""Where an edit's pictures go: the names of the files, and writing them whole or not at all."""

from __future__ import annotations

import re
from pathlib import Path

import click

FORMATS = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}
_UNFIT = re.compile(r"[^A-Za-z0-9._-]+")


def output_format(output: Path) -> str:
    """Return the format that a file's ending asks for; another, or no folder, is wrong usage."""
    chosen = FORMATS.get(output.suffix.lower())
    if chosen is None:
        raise click.BadParameter("must end in .png, .jpg or .webp", param_hint="--output")
    if not output.parent.is_dir():
        raise click.BadParameter(f"there is no folder {output.parent}", param_hint="--output")
    return chosen


def beside(output: Path, word: str) -> Path:
    """Return `output` with a word before its ending: night.png and qwen/x give night.qwen-x.png."""
    return output.with_name(f"{output.stem}.{_UNFIT.sub('-', word)}{output.suffix}")


def save(path: Path, content: bytes) -> None:
    """Write a file; whoever looks, or interrupts, finds all of it or none."""
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    except OSError as error:
        raise click.FileError(str(path), error.strerror or type(error).__name__) from None
    finally:
        part.unlink(missing_ok=True)
